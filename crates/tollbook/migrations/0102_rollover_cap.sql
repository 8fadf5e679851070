-- How much of an allowance is carried into a cycle at most, and what was taken away of it for that.

alter table allowance_grants
    add column carried_max numeric(38, 12) check (carried_max >= 0),
    add column carried_at timestamptz,
    add constraint allowance_grants_carried_check check (carried_at is null or carried_max is not null),
    add constraint allowance_grants_id_payer_key unique (organization_id, id, payer);
comment on column allowance_grants.carried_max is 'The most that may be left of older grants of the allowance when the cycle of this one begins; null: everything.';
comment on column allowance_grants.carried_at is 'When that was first seen to.';
-- Cycles that begin next, for the schedule that sees to it.
create index allowance_grants_carried_idx on allowance_grants (starts_at) where carried_max is not null and carried_at is null;

create table allowance_forfeits (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    grant_id uuid not null,
    -- The start of the cycle into which so much of the grant was not carried.
    at timestamptz not null,
    quantity numeric(38, 12) not null check (quantity > 0),
    payer text not null,
    primary key (organization_id, grant_id, at),
    constraint allowance_forfeits_grant_id_fkey foreign key (organization_id, grant_id, payer) references allowance_grants (organization_id, id, payer)
);
comment on table allowance_forfeits is 'What was taken away of a grant, by the cycle that began with more than the cap. Made again when usage before it changes.';
