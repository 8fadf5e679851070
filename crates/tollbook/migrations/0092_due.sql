-- Drafts of a sale in the order in which they get their numbers, for a run that takes some hundred at a time.
create index invoices_due_idx on invoices (organization_id, payer, finalize_at, id) where state = 'draft';
