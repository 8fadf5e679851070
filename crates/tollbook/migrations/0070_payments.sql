-- Payments that people record: spread over invoices, undone by rows of their own, and paid out of the payer's credit.

-- What a payer has paid or been credited beyond what they owe; kept from the transfers, so that a check refuses to spend
-- it twice. Of other accounts nobody asks, and a running sum would make everybody wait who sells.
alter table ledger_accounts
    add column credit_minor bigint not null default 0,
    add constraint ledger_accounts_credit_check check (credit_minor >= 0 and (kind = 'customer_credit' or credit_minor = 0));
update ledger_accounts a set credit_minor =
        (select coalesce(sum(t.amount_minor), 0) from transfers t where t.organization_id = a.organization_id and t.credit_account_id = a.id)
        - (select coalesce(sum(t.amount_minor), 0) from transfers t where t.organization_id = a.organization_id and t.debit_account_id = a.id)
    where a.kind = 'customer_credit';
comment on column ledger_accounts.credit_minor is 'What stands on an account of kind customer_credit, in minor units.';

alter table payments
    drop constraint payments_channel_check,
    drop constraint payments_amount_minor_check,
    add column reverses_id uuid,
    add column reason text not null default '',
    add column allocated_minor bigint not null default 0,
    add column created_by uuid default acting_user_id() references users (id),
    -- Credit pays invoices as money does, and moves none.
    add constraint payments_channel_check check (channel in ('stripe', 'check', 'transfer', 'cash', 'quickbooks', 'other', 'credit')),
    add constraint payments_amount_minor_check check (amount_minor <> 0 and (amount_minor < 0) = (reverses_id is not null)),
    add constraint payments_allocated_check check (allocated_minor between 0 and greatest(amount_minor, 0)),
    add constraint payments_reason_check check (reverses_id is null or reason <> ''),
    add constraint payments_reverses_id_key unique (organization_id, reverses_id),
    add constraint payments_reverses_id_fkey foreign key (organization_id, reverses_id, payer) references payments (organization_id, id, payer);
update payments p set allocated_minor =
    (select coalesce(sum(a.amount_minor), 0) from payment_allocations a where a.organization_id = p.organization_id and a.payment_id = p.id);
comment on column payments.reverses_id is 'The payment that this row takes back, whole: its amount with the opposite sign.';
comment on column payments.allocated_minor is 'How much of it pays invoices: the sum of its allocations.';
create index payments_payer_idx on payments (organization_id, payer, id desc);
-- The platform's list runs through all organizations.
create index payments_id_idx on payments (id desc) where payer = 'organization';
comment on table payments is 'Money received from a payer, or credit of the payer that is used; taken back by a row of its own.';
comment on table payment_allocations is 'Which invoice a payment pays, and how much of it; below zero where that is taken back.';

alter table ledger_entries
    drop constraint ledger_entries_document_check,
    add constraint ledger_entries_document_check check (document in
        ('invoice', 'credit_note', 'payment', 'allocation', 'refund', 'wallet', 'cost', 'opening', 'void'));

-- What a payer still owes, the oldest first.
create index invoices_open_idx on invoices (organization_id, payer, customer_id, currency, due_at, number_year, number_seq) where state = 'finalized';
