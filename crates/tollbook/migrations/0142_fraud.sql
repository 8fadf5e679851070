-- Calls out that look like fraud are held until somebody releases them.

create table fraud_guards (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    -- Calls that began before are not looked at; null: it is off.
    enabled_at timestamptz,
    holds_unusual boolean not null,
    -- A destination is usual that was called within so many days.
    history_days integer not null check (history_days between 1 and 365),
    -- Countries as two letters, calling codes and numbers with a plus.
    allowed_destinations text[] not null,
    calls_per_minute_max integer check (calls_per_minute_max > 0),
    calls_per_hour_max integer check (calls_per_hour_max > 0),
    concurrent_max integer check (concurrent_max > 0),
    -- Of calls to one destination, in the organization's currency.
    hourly_spend_max numeric(38, 12) check (hourly_spend_max > 0),
    updated_at timestamptz not null default clock_timestamp(),
    primary key (organization_id)
);
comment on table fraud_guards is 'What an organization says is usual of its calls out. Without a row nothing is held.';

create table fraud_holds (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    -- The destination that is held; empty: nothing but all calls out.
    destination text not null,
    reason text not null check (reason in ('unusual_destination', 'calls_per_minute', 'calls_per_hour', 'concurrent_calls', 'hourly_spend')),
    -- All calls out are held until it is released.
    holds_all boolean not null,
    state text not null default 'held' check (state in ('held', 'released')),
    -- The number of the call that was held, or that happened.
    external_e164 text collate "C" not null check (external_e164 ~ '^\+[1-9][0-9]{4,14}$'),
    -- The call that happened without being asked for.
    call_id uuid,
    held_at timestamptz not null,
    released_at timestamptz,
    released_by uuid references users (id),
    primary key (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    constraint fraud_holds_destination_key unique (organization_id, destination),
    constraint fraud_holds_scope_check check (holds_all or destination <> ''),
    constraint fraud_holds_released_check check ((state = 'released') = (released_at is not null))
) with (fillfactor = 70);
create index fraud_holds_held_idx on fraud_holds (organization_id) where state = 'held' and holds_all;
create index fraud_holds_held_at_idx on fraud_holds (organization_id, held_at desc, id desc);
comment on table fraud_holds is 'Calls out that are held: to a destination, or all. Once released, the destination is usual, and what was counted before counts no more.';

-- What was called lately, and how often: derived from calls and from what was let through whenever it is asked.
create index call_authorizations_outgoing_idx on call_authorizations (organization_id, external_e164, started_at) where direction = 'outgoing';
create index call_authorizations_started_at_idx on call_authorizations (organization_id, started_at) where direction = 'outgoing';
