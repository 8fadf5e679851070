-- Invoices that are withdrawn, and who gathers their charges again.

alter table invoices
    add column void_reason text,
    add constraint invoices_void_check check ((state = 'void') = (void_reason is not null) and void_reason <> ''
        and (state <> 'void' or paid_minor = 0 and credited_minor = 0));
comment on column invoices.void_reason is 'Why it was withdrawn.';

create table recharges (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    document_id uuid not null,
    void_invoice_id uuid not null,
    payer text not null,
    created_at timestamptz not null default now(),
    primary key (organization_id, document_id, void_invoice_id),
    constraint recharges_document_id_fkey foreign key (organization_id, document_id, payer) references invoices (organization_id, id, payer),
    constraint recharges_void_invoice_id_fkey foreign key (organization_id, void_invoice_id, payer) references invoices (organization_id, id, payer),
    constraint recharges_self_check check (document_id <> void_invoice_id)
);
create index recharges_void_invoice_id_idx on recharges (organization_id, void_invoice_id);
comment on table recharges is 'Which document gathers the charges of a void invoice again, beside its own; one at a time.';
