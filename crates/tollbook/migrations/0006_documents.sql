-- Taxes, credit notes, payments and the ledger beneath them.

create table invoice_taxes (
    organization_id uuid not null,
    invoice_id uuid not null,
    percent numeric(9, 6) not null,
    inclusive boolean not null,
    base_minor bigint not null,
    tax_minor bigint not null,
    primary key (organization_id, invoice_id, percent, inclusive),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id)
);
comment on table invoice_taxes is 'Tax of an invoice by rate, rounded per rate per document.';

create table credit_notes (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    invoice_id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    seller_id uuid not null generated always as
        (case payer when 'organization' then '00000000-0000-0000-0000-000000000000'::uuid else organization_id end) stored references sellers (id),
    number text not null,
    reason text not null check (reason <> ''),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    subtotal_minor bigint not null check (subtotal_minor >= 0),
    tax_minor bigint not null check (tax_minor >= 0),
    total_minor bigint not null check (total_minor > 0),
    created_by uuid default acting_user_id() references users (id),
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id),
    constraint credit_notes_total_check check (total_minor = subtotal_minor + tax_minor),
    constraint credit_notes_number_key unique (seller_id, number)
);
create index credit_notes_invoice_id_idx on credit_notes (organization_id, invoice_id);
comment on table credit_notes is 'A correction of a finalized invoice; never more than the invoice.';

create table payment_methods (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    processor text not null,
    -- The processor's token. No card number ever touches the system.
    token text not null,
    kind text not null check (kind in ('card', 'bank_account', 'paypal')),
    brand text,
    last_four text check (last_four ~ '^[0-9A-Za-z]{4}$'),
    expires_month integer check (expires_month between 1 and 12),
    expires_year integer check (expires_year between 2000 and 2200),
    is_default boolean not null default false,
    created_at timestamptz not null default now(),
    removed_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    constraint payment_methods_customer_check check ((payer = 'customer') = (customer_id is not null)),
    constraint payment_methods_token_key unique (organization_id, processor, token)
);
comment on table payment_methods is 'How a payer pays: processor token, brand, last four and expiry only.';

create table payments (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    customer_id uuid,
    payment_method_id uuid,
    channel text not null check (channel in ('stripe', 'check', 'transfer', 'cash', 'quickbooks', 'other')),
    reference text not null default '',
    state text not null check (state in ('pending', 'succeeded', 'failed', 'refunded')),
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint not null check (amount_minor > 0),
    received_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, payment_method_id) references payment_methods (organization_id, id),
    constraint payments_customer_check check ((payer = 'customer') = (customer_id is not null))
);
create index payments_customer_id_idx on payments (organization_id, customer_id, received_at desc);
comment on table payments is 'Money received from a payer.';

create table payment_allocations (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payment_id uuid not null,
    invoice_id uuid not null,
    amount_minor bigint not null check (amount_minor <> 0),
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, payment_id) references payments (organization_id, id),
    foreign key (organization_id, invoice_id) references invoices (organization_id, id)
);
create index payment_allocations_invoice_id_idx on payment_allocations (organization_id, invoice_id);
create index payment_allocations_payment_id_idx on payment_allocations (organization_id, payment_id);
comment on table payment_allocations is 'Which invoice a payment pays, and how much of it.';

create table ledger_accounts (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    kind text not null check (kind in ('receivable', 'revenue', 'tax_payable', 'customer_credit', 'clearing', 'wallet', 'provider_cost', 'provider_payable')),
    -- The meter of a revenue account, or 'fee'.
    meter text not null default '',
    customer_id uuid,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    constraint ledger_accounts_id_currency_key unique (organization_id, id, currency),
    constraint ledger_accounts_kind_key unique nulls not distinct (organization_id, payer, kind, meter, customer_id, currency)
);
comment on table ledger_accounts is 'Where amounts are kept: one currency each.';

create table ledger_entries (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    payer text not null check (payer in ('organization', 'customer')),
    document text not null check (document in ('invoice', 'credit_note', 'payment', 'refund', 'wallet', 'cost', 'opening', 'void')),
    document_id uuid not null,
    occurred_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    constraint ledger_entries_document_key unique (organization_id, document, document_id)
);
create index ledger_entries_occurred_at_idx on ledger_entries (organization_id, occurred_at);
comment on table ledger_entries is 'One entry per document. Append-only; a correction is a new entry.';

create table transfers (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    entry_id uuid not null,
    debit_account_id uuid not null,
    credit_account_id uuid not null,
    amount_minor bigint not null check (amount_minor > 0),
    currency text not null,
    primary key (organization_id, id),
    foreign key (organization_id, entry_id) references ledger_entries (organization_id, id),
    foreign key (organization_id, debit_account_id, currency) references ledger_accounts (organization_id, id, currency),
    foreign key (organization_id, credit_account_id, currency) references ledger_accounts (organization_id, id, currency),
    constraint transfers_accounts_check check (debit_account_id <> credit_account_id)
);
create index transfers_entry_id_idx on transfers (organization_id, entry_id);
create index transfers_debit_account_id_idx on transfers (organization_id, debit_account_id);
create index transfers_credit_account_id_idx on transfers (organization_id, credit_account_id);
comment on table transfers is 'An amount from one account to another: balanced by construction.';
