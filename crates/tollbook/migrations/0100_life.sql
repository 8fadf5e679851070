-- Subscriptions that pause and that somebody cancels. What follows from these times is computed from them.

alter table subscriptions
    add column canceled_at timestamptz,
    add constraint subscriptions_canceled_check check (canceled_at is null or ends_at is not null);
comment on column subscriptions.canceled_at is 'When somebody canceled it, if that stands: it ends at its end and does not renew.';

create table subscription_pauses (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    subscription_id uuid not null,
    starts_at timestamptz not null,
    -- When it goes on; null: not known yet.
    ends_at timestamptz,
    payer text not null,
    created_at timestamptz not null default now(),
    primary key (organization_id, id),
    constraint subscription_pauses_subscription_id_fkey foreign key (organization_id, subscription_id, payer) references subscriptions (organization_id, id, payer),
    constraint subscription_pauses_period_check check (ends_at is null or ends_at > starts_at),
    constraint subscription_pauses_subscription_id_excl exclude using gist
        ((organization_id::text) with =, (subscription_id::text) with =, tstzrange(starts_at, ends_at) with &&)
);
-- Of the pauses of a subscription the one at a time, looked up for each usage that is rated.
create index subscription_pauses_starts_at_idx on subscription_pauses (organization_id, subscription_id, starts_at) include (ends_at);
-- Those that begin or end next, for the schedule that keeps states.
create index subscription_pauses_due_idx on subscription_pauses (starts_at, ends_at);
create index subscriptions_ends_at_idx on subscriptions (ends_at) where state <> 'ended' and ends_at is not null;
create index subscriptions_paused_idx on subscriptions (organization_id, id) where state = 'paused';
comment on table subscription_pauses is 'When a subscription is suspended: no base fee is due, and usage is charged as if there were none.';
