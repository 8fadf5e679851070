-- The account by which the platform sells to an organization, read from the index alone: without its id in it, the planner
-- took the index of all accounts and read every one of an organization's for each usage event.
drop index accounts_organization_payer_key;
create unique index accounts_organization_payer_key on accounts (organization_id) include (id) where payer = 'organization';
