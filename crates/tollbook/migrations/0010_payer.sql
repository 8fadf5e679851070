-- Every row of a sale says whose sale it is, so that row-level security can tell the platform's from the organization's
-- own without asking another table. The references carry it: a row cannot belong to another sale than its parent.

-- Rows that never change get the column all the same.
alter table subscription_segments disable trigger user;
alter table billing_periods disable trigger user;
alter table allowance_grants disable trigger user;
alter table tier_totals disable trigger user;
alter table wallets disable trigger user;
alter table wallet_movements disable trigger user;
alter table invoice_lines disable trigger user;
alter table invoice_taxes disable trigger user;
alter table payment_allocations disable trigger user;
alter table transfers disable trigger user;

alter table subscriptions add constraint subscriptions_id_payer_key unique (organization_id, id, payer);
alter table invoices add constraint invoices_id_payer_key unique (organization_id, id, payer);
alter table payments add constraint payments_id_payer_key unique (organization_id, id, payer);
alter table payment_methods add constraint payment_methods_id_payer_key unique (organization_id, id, payer);
alter table ledger_entries add constraint ledger_entries_id_payer_key unique (organization_id, id, payer);
alter table ledger_accounts add constraint ledger_accounts_id_currency_payer_key unique (organization_id, id, currency, payer);

alter table subscription_segments add column payer text;
alter table billing_periods add column payer text;
alter table allowance_grants add column payer text;
alter table tier_totals add column payer text;
alter table wallets add column payer text;
alter table wallet_movements add column payer text;
alter table invoice_lines add column payer text;
alter table invoice_taxes add column payer text;
alter table payment_allocations add column payer text;
alter table transfers add column payer text;

update subscription_segments c set payer = p.payer from subscriptions p where p.organization_id = c.organization_id and p.id = c.subscription_id;
update billing_periods c set payer = p.payer from subscriptions p where p.organization_id = c.organization_id and p.id = c.subscription_id;
update allowance_grants c set payer = p.payer from accounts p where p.organization_id = c.organization_id and p.id = c.account_id;
update tier_totals c set payer = p.payer from accounts p where p.organization_id = c.organization_id and p.id = c.account_id;
update wallets c set payer = p.payer from accounts p where p.organization_id = c.organization_id and p.id = c.account_id;
update wallet_movements c set payer = p.payer from wallets p where p.organization_id = c.organization_id and p.id = c.wallet_id;
update invoice_lines c set payer = p.payer from invoices p where p.organization_id = c.organization_id and p.id = c.invoice_id;
update invoice_taxes c set payer = p.payer from invoices p where p.organization_id = c.organization_id and p.id = c.invoice_id;
update payment_allocations c set payer = p.payer from payments p where p.organization_id = c.organization_id and p.id = c.payment_id;
update transfers c set payer = p.payer from ledger_entries p where p.organization_id = c.organization_id and p.id = c.entry_id;

alter table wallets add constraint wallets_id_payer_key unique (organization_id, id, payer);

alter table subscription_segments alter column payer set not null,
    drop constraint subscription_segments_organization_id_subscription_id_fkey,
    add constraint subscription_segments_subscription_id_fkey
        foreign key (organization_id, subscription_id, payer) references subscriptions (organization_id, id, payer);
alter table billing_periods alter column payer set not null,
    drop constraint billing_periods_organization_id_subscription_id_fkey,
    add constraint billing_periods_subscription_id_fkey
        foreign key (organization_id, subscription_id, payer) references subscriptions (organization_id, id, payer);
alter table allowance_grants alter column payer set not null,
    drop constraint allowance_grants_organization_id_account_id_fkey,
    drop constraint allowance_grants_organization_id_subscription_id_fkey,
    add constraint allowance_grants_account_id_fkey
        foreign key (organization_id, account_id, payer) references accounts (organization_id, id, payer),
    add constraint allowance_grants_subscription_id_fkey
        foreign key (organization_id, subscription_id, payer) references subscriptions (organization_id, id, payer);
alter table tier_totals alter column payer set not null,
    drop constraint tier_totals_organization_id_account_id_fkey,
    add constraint tier_totals_account_id_fkey
        foreign key (organization_id, account_id, payer) references accounts (organization_id, id, payer);
alter table wallets alter column payer set not null,
    drop constraint wallets_organization_id_account_id_fkey,
    add constraint wallets_account_id_fkey
        foreign key (organization_id, account_id, payer) references accounts (organization_id, id, payer);
alter table wallet_movements alter column payer set not null,
    drop constraint wallet_movements_organization_id_wallet_id_fkey,
    add constraint wallet_movements_wallet_id_fkey
        foreign key (organization_id, wallet_id, payer) references wallets (organization_id, id, payer);
alter table invoice_lines alter column payer set not null,
    drop constraint invoice_lines_organization_id_invoice_id_fkey,
    add constraint invoice_lines_invoice_id_fkey
        foreign key (organization_id, invoice_id, payer) references invoices (organization_id, id, payer);
alter table invoice_taxes alter column payer set not null,
    drop constraint invoice_taxes_organization_id_invoice_id_fkey,
    add constraint invoice_taxes_invoice_id_fkey
        foreign key (organization_id, invoice_id, payer) references invoices (organization_id, id, payer);
alter table payment_allocations alter column payer set not null,
    drop constraint payment_allocations_organization_id_payment_id_fkey,
    drop constraint payment_allocations_organization_id_invoice_id_fkey,
    add constraint payment_allocations_payment_id_fkey
        foreign key (organization_id, payment_id, payer) references payments (organization_id, id, payer),
    add constraint payment_allocations_invoice_id_fkey
        foreign key (organization_id, invoice_id, payer) references invoices (organization_id, id, payer);
alter table transfers alter column payer set not null,
    drop constraint transfers_organization_id_entry_id_fkey,
    drop constraint transfers_organization_id_debit_account_id_currency_fkey,
    drop constraint transfers_organization_id_credit_account_id_currency_fkey,
    add constraint transfers_entry_id_fkey
        foreign key (organization_id, entry_id, payer) references ledger_entries (organization_id, id, payer),
    add constraint transfers_debit_account_id_fkey
        foreign key (organization_id, debit_account_id, currency, payer) references ledger_accounts (organization_id, id, currency, payer),
    add constraint transfers_credit_account_id_fkey
        foreign key (organization_id, credit_account_id, currency, payer) references ledger_accounts (organization_id, id, currency, payer);

-- These said it already, but could name a parent of the other sale.
alter table credit_notes
    drop constraint credit_notes_organization_id_invoice_id_fkey,
    add constraint credit_notes_invoice_id_fkey
        foreign key (organization_id, invoice_id, payer) references invoices (organization_id, id, payer);
alter table payments
    drop constraint payments_organization_id_payment_method_id_fkey,
    add constraint payments_payment_method_id_fkey
        foreign key (organization_id, payment_method_id, payer) references payment_methods (organization_id, id, payer);

alter table subscription_segments enable trigger user;
alter table billing_periods enable trigger user;
alter table allowance_grants enable trigger user;
alter table tier_totals enable trigger user;
alter table wallets enable trigger user;
alter table wallet_movements enable trigger user;
alter table invoice_lines enable trigger user;
alter table invoice_taxes enable trigger user;
alter table payment_allocations enable trigger user;
alter table transfers enable trigger user;
