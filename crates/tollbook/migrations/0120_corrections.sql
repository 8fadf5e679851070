-- What people put right: whose a call is, who a customer is, what is not billed, what is given out of goodwill.

create table corrections (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    kind text not null check (kind in ('move_call', 'move_message', 'move_number', 'merge_customers', 'name_prospect', 'waive', 'goodwill')),
    -- To whom something goes, or who is meant.
    customer_id uuid,
    -- Who becomes a part of another.
    from_customer_id uuid,
    call_id uuid,
    message_id uuid,
    usage_event_id uuid,
    phone_number text collate "C",
    since timestamptz,
    amount_minor bigint check (amount_minor <> 0),
    currency text check (currency ~ '^[A-Z]{3}$'),
    reason text not null check (reason <> ''),
    undoes_id uuid,
    created_by uuid default acting_user_id() references users (id),
    created_at timestamptz not null,
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, from_customer_id) references customers (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    foreign key (organization_id, message_id) references messages (organization_id, id),
    foreign key (organization_id, usage_event_id) references usage_events (organization_id, id),
    foreign key (organization_id, undoes_id) references corrections (organization_id, id),
    constraint corrections_undoes_id_key unique (organization_id, undoes_id),
    constraint corrections_self_check check (undoes_id <> id and from_customer_id <> customer_id),
    constraint corrections_amount_check check ((kind = 'goodwill') = (amount_minor is not null) and (amount_minor is null) = (currency is null)
        and (amount_minor > 0) = (undoes_id is null))
);
create index corrections_goodwill_idx on corrections (organization_id, customer_id) where kind = 'goodwill';
comment on table corrections is 'What a person put right, and why. Append-only: what is undone is undone by a row that names it, once.';

create table correction_items (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    correction_id uuid not null,
    subject text not null check (subject in ('call', 'message', 'number', 'contact', 'note', 'customer')),
    subject_id uuid not null,
    from_customer_id uuid,
    to_customer_id uuid,
    -- The row as it was, where a customer does not say it all.
    before jsonb,
    primary key (organization_id, correction_id, subject, subject_id),
    foreign key (organization_id, correction_id) references corrections (organization_id, id),
    foreign key (organization_id, from_customer_id) references customers (organization_id, id),
    foreign key (organization_id, to_customer_id) references customers (organization_id, id)
);
comment on table correction_items is 'Each thing that a correction gave to another customer, with who had it before. Append-only.';

create table correction_payers (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    customer_id uuid not null,
    correction_id uuid not null,
    primary key (organization_id, customer_id, correction_id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, correction_id) references corrections (organization_id, id)
);
comment on table correction_payers is 'Whose account a correction concerns. Append-only.';

create table correction_credits (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    correction_id uuid not null,
    invoice_line_id uuid not null,
    -- What the line is less without the charges that were taken back of it.
    share_minor bigint not null check (share_minor >= 0),
    -- As much of that as was left of the line.
    given_minor bigint not null check (given_minor between 0 and share_minor),
    credit_note_id uuid,
    primary key (organization_id, correction_id, invoice_line_id),
    foreign key (organization_id, correction_id) references corrections (organization_id, id),
    foreign key (organization_id, invoice_line_id) references invoice_lines (organization_id, id),
    foreign key (organization_id, credit_note_id) references credit_notes (organization_id, id),
    constraint correction_credits_note_check check ((credit_note_id is null) = (given_minor = 0))
);
create index correction_credits_line_idx on correction_credits (organization_id, invoice_line_id);
comment on table correction_credits is 'What a correction takes off a line of a final document, and the credit note that gives it back. The charges behind it are reversed without a document. Append-only.';

create table usage_waivers (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    correction_id uuid not null,
    -- Exactly one: a call, what a provider's record is named by, or a usage that is of neither.
    call_id uuid,
    resource_type text,
    resource_id text,
    usage_event_id uuid,
    primary key (organization_id, id),
    foreign key (organization_id, correction_id) references corrections (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    foreign key (organization_id, usage_event_id) references usage_events (organization_id, id),
    constraint usage_waivers_subject_check check (num_nonnulls(call_id, resource_id, usage_event_id) = 1
        and (resource_type is null) = (resource_id is null))
);
create unique index usage_waivers_call_id_key on usage_waivers (organization_id, call_id) where call_id is not null;
create unique index usage_waivers_resource_key on usage_waivers (organization_id, resource_id, resource_type) where resource_id is not null;
create unique index usage_waivers_usage_event_id_key on usage_waivers (organization_id, usage_event_id) where usage_event_id is not null;
create index usage_waivers_correction_id_idx on usage_waivers (organization_id, correction_id);
comment on table usage_waivers is 'What is not billed to customers now, late usage of it included. A row goes when its correction is undone.';

-- What a credit note gives back is reversed without a document.
alter table charges drop constraint charges_invoice_check,
    add constraint charges_invoice_check check (invoice_id is not null or kind = 'not_charged' or reverses_id is not null);

alter table ledger_entries drop constraint ledger_entries_document_check,
    add constraint ledger_entries_document_check check (document in
        ('invoice', 'credit_note', 'payment', 'allocation', 'refund', 'wallet', 'cost', 'opening', 'void', 'goodwill'));

-- All that was recorded of a message, whomever it went to, is found at once.
create index usage_events_message_idx on usage_events (organization_id, resource_id) where resource_type = 'message';
