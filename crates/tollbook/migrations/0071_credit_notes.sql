-- Credit notes: numbers of their own, and what each gives back of the lines and taxes of its invoice.

alter table sellers
    add column credit_note_prefix text not null default 'CN' check (credit_note_prefix ~ '^[A-Z0-9]{1,12}$'),
    add column credit_note_year integer not null default 0 check (credit_note_year >= 0),
    add column next_credit_note bigint not null default 1 check (next_credit_note > 0);
comment on column sellers.next_credit_note is 'The next number of a credit note in credit_note_year, taken like the next invoice number.';

alter table credit_notes
    add column number_year integer not null,
    add column number_seq bigint not null,
    add constraint credit_notes_id_payer_key unique (organization_id, id, payer),
    add constraint credit_notes_customer_check check ((payer = 'customer') = (customer_id is not null)),
    add constraint credit_notes_sequence_key unique (seller_id, number_year, number_seq),
    add constraint credit_notes_customer_id_fkey foreign key (organization_id, customer_id) references customers (organization_id, id);
create index credit_notes_payer_idx on credit_notes (organization_id, payer, customer_id, id desc);
-- The platform's list runs through all organizations.
create index credit_notes_id_idx on credit_notes (id desc) where payer = 'organization';

create table credit_note_lines (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    credit_note_id uuid not null,
    payer text not null,
    invoice_line_id uuid not null,
    -- As the line is printed: tax that prices include is in it.
    amount_minor bigint not null check (amount_minor <> 0),
    primary key (organization_id, id),
    constraint credit_note_lines_line_key unique (organization_id, credit_note_id, invoice_line_id),
    constraint credit_note_lines_credit_note_id_fkey foreign key (organization_id, credit_note_id, payer)
        references credit_notes (organization_id, id, payer),
    constraint credit_note_lines_invoice_line_id_fkey foreign key (organization_id, invoice_line_id)
        references invoice_lines (organization_id, id)
);
create index credit_note_lines_invoice_line_id_idx on credit_note_lines (organization_id, invoice_line_id);
comment on table credit_note_lines is 'How much a credit note gives back of a line of its invoice; never more than the line.';

create table credit_note_taxes (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    credit_note_id uuid not null,
    payer text not null,
    percent numeric(9, 6) not null,
    inclusive boolean not null,
    base_minor bigint not null,
    tax_minor bigint not null,
    primary key (organization_id, credit_note_id, percent, inclusive),
    constraint credit_note_taxes_credit_note_id_fkey foreign key (organization_id, credit_note_id, payer)
        references credit_notes (organization_id, id, payer)
);
comment on table credit_note_taxes is 'Tax of a credit note by rate: the part of the invoice''s tax that is given back.';
