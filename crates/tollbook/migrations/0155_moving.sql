-- What organizations bring along from another system: opening entries, and which import made them.

create table imports (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    -- The seller's numbers as they were before and as the import left them.
    prefix_before text not null,
    year_before integer not null,
    next_before bigint not null,
    opening_year_before integer,
    opening_number_before bigint,
    prefix_after text not null,
    year_after integer not null,
    next_after bigint not null,
    created_by uuid default acting_user_id() references users (id),
    -- By the organization's own clock.
    created_at timestamptz not null,
    undone_at timestamptz,
    primary key (organization_id, id),
    constraint imports_undone_check check (undone_at is null or undone_at >= created_at)
);
create index imports_created_at_idx on imports (organization_id, created_at desc, id desc);
comment on table imports is 'A book that was brought in from another system. It can be taken back until the first document after it.';

create table import_rows (
    organization_id uuid not null default acting_organization_id(),
    id uuid not null,
    import_id uuid not null,
    kind text not null check (kind in ('account', 'customer', 'subscription', 'allowance', 'invoice', 'credit', 'wallet', 'lot', 'number')),
    -- By which the same thing is known in the next book.
    key text not null check (key <> ''),
    -- What was made: a row of the table of its kind; of a credit, the document of its ledger entry.
    row_id uuid not null,
    customer_id uuid,
    currency text check (currency ~ '^[A-Z]{3}$'),
    amount_minor bigint check (amount_minor > 0),
    quantity numeric(38, 12) check (quantity > 0),
    -- As the book says it.
    item jsonb not null,
    primary key (organization_id, id),
    constraint import_rows_key_key unique (organization_id, kind, key),
    constraint import_rows_import_id_fkey foreign key (organization_id, import_id) references imports (organization_id, id),
    constraint import_rows_amount_check check ((amount_minor is null) = (currency is null)
        and (amount_minor is not null) = (kind in ('invoice', 'credit', 'lot')) and (quantity is not null) = (kind = 'allowance'))
);
create index import_rows_row_id_idx on import_rows (organization_id, row_id);
create index import_rows_import_id_idx on import_rows (organization_id, import_id, kind);
create index import_rows_customer_id_idx on import_rows (organization_id, customer_id, kind) where customer_id is not null;
comment on table import_rows is 'What an import made, and of what: the opening entries are counted against these.';

alter table ledger_accounts
    drop constraint ledger_accounts_kind_check,
    add constraint ledger_accounts_kind_check check (kind in
        ('receivable', 'revenue', 'tax_payable', 'customer_credit', 'clearing', 'wallet', 'provider_cost', 'provider_payable', 'opening'));

-- An invoice of another system keeps its number, which is in no sequence of ours, and what was paid of it there.
alter table invoices
    drop constraint invoices_kind_check,
    drop constraint invoices_number_check,
    add column opening_paid_minor bigint not null default 0,
    add constraint invoices_kind_check check (kind in ('period', 'call', 'one_off', 'opening')),
    add constraint invoices_number_check check ((state = 'draft') = (number is null) and (number is null) = (finalized_at is null)
        and (number_year is null) = (number_seq is null) and (number_seq is null) = (state = 'draft' or kind = 'opening')),
    add constraint invoices_opening_check check (kind <> 'opening' or payer = 'customer' and state not in ('draft', 'void')),
    add constraint invoices_opening_paid_check check (opening_paid_minor = 0
        or opening_paid_minor > 0 and kind = 'opening' and opening_paid_minor + prepaid_minor <= paid_minor);
create unique index invoices_opening_number_key on invoices (organization_id, number) where kind = 'opening';
comment on column invoices.opening_paid_minor is 'Paid in the system that issued it; part of paid_minor.';

alter table allowance_grants
    add column opening_used numeric(38, 12) not null default 0,
    add constraint allowance_grants_opening_check check (opening_used >= 0 and opening_used <= used);
comment on column allowance_grants.opening_used is 'Used in another system before the subscription came here; part of used.';

alter table subscriptions
    add column contracted_on date,
    add column invoiced_until timestamptz,
    add constraint subscriptions_invoiced_until_check check (invoiced_until is null or invoiced_until > starts_at);
comment on column subscriptions.contracted_on is 'When the contract began, if that was in another system.';
comment on column subscriptions.invoiced_until is 'Base fees of periods that begin before were invoiced by another system.';

alter table sellers
    add column opening_year integer,
    add column opening_number bigint check (opening_number > 0),
    add constraint sellers_opening_check check ((opening_year is null) = (opening_number is null));
comment on column sellers.opening_number is 'The first number of opening_year here; another system gave those before it.';

alter table imports add column is_undoing boolean not null default false;
comment on column imports.is_undoing is 'True only within the transaction that takes it back: what it made may be removed then.';

-- What refers to rows that an undo removes is looked up for each of them.
create index customers_merged_into_id_idx on customers (organization_id, merged_into_id) where merged_into_id is not null;
create index customer_numbers_contact_id_idx on customer_numbers (organization_id, contact_id) where contact_id is not null;
create index ledger_accounts_customer_id_idx on ledger_accounts (organization_id, customer_id) where customer_id is not null;
create index allowance_grants_subscription_id_idx on allowance_grants (organization_id, subscription_id) where subscription_id is not null;
