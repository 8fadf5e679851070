-- Work to do, what happened, and what was promised to clients.

create table jobs (
    id uuid primary key,
    organization_id uuid references organizations (id),
    kind text not null,
    payload jsonb not null,
    -- At most one waiting job per key.
    unique_key text,
    state text not null default 'waiting' check (state in ('waiting', 'running', 'dead')),
    run_at timestamptz not null default now(),
    attempts integer not null default 0,
    attempts_max integer not null default 20 check (attempts_max > 0),
    last_error text,
    locked_until timestamptz,
    created_at timestamptz not null default now()
) with (fillfactor = 80);
create index jobs_run_at_idx on jobs (run_at, id) where state = 'waiting';
create index jobs_locked_until_idx on jobs (locked_until) where state = 'running';
create index jobs_organization_id_idx on jobs (organization_id, created_at desc);
create unique index jobs_unique_key_key on jobs (kind, unique_key) where unique_key is not null and state = 'waiting';
comment on table jobs is 'The outbox: work enqueued in the transaction that caused it. The job''s id is the provider''s idempotency key. Done jobs are deleted.';

create table schedules (
    name text primary key,
    every interval not null check (every > '0'),
    next_run_at timestamptz not null,
    last_run_at timestamptz
);
comment on table schedules is 'Recurring work, one row each; whichever node takes the row runs it.';

create table live_events (
    organization_id uuid not null,
    id bigint generated always as identity,
    -- The writing transaction. The id on the wire is a low-water mark of these, so that a resume may repeat but never skip.
    xid xid8 not null default pg_current_xact_id(),
    version smallint not null default 1,
    kind text not null check (kind in ('call.ringing', 'call.updated', 'call.completed', 'message.received', 'message.updated',
        'voicemail.received', 'usage.threshold', 'invoice.updated', 'sync.progress')),
    subject_id uuid not null,
    created_at timestamptz not null default clock_timestamp(),
    primary key (organization_id, id)
);
create index live_events_xid_idx on live_events (xid);
create index live_events_organization_id_idx on live_events (organization_id, xid, id);
create index live_events_created_at_idx on live_events (created_at);
comment on table live_events is 'What changed, by id only: each viewer''s node reads the thing itself with the viewer''s rights. Kept for an hour.';

create table audit_log (
    id uuid primary key,
    organization_id uuid default acting_organization_id() references organizations (id),
    actor_role text not null,
    user_id uuid default acting_user_id() references users (id),
    action text not null check (action <> ''),
    subject text not null,
    subject_id uuid,
    before jsonb,
    after jsonb,
    address inet,
    request_id text,
    created_at timestamptz not null default clock_timestamp()
);
create index audit_log_organization_id_idx on audit_log (organization_id, created_at desc, id desc);
create index audit_log_subject_idx on audit_log (organization_id, subject, subject_id, created_at desc);
comment on table audit_log is 'Who did what to which money or right, when. Append-only.';

create table idempotency_keys (
    -- Who sent it: a user's or API key's id.
    principal text not null,
    key text not null check (length(key) between 1 and 255),
    request_hash bytea not null check (length(request_hash) = 32),
    -- Null while the first request runs.
    status integer,
    headers jsonb,
    body bytea,
    created_at timestamptz not null default clock_timestamp(),
    primary key (principal, key)
);
create index idempotency_keys_created_at_idx on idempotency_keys (created_at);
comment on table idempotency_keys is 'Answers given to requests with an Idempotency-Key; kept 24 hours.';

create table provider_budgets (
    integration_id uuid not null references integrations (id),
    day date not null,
    used integer not null default 0 check (used >= 0),
    primary key (integration_id, day)
);
comment on table provider_budgets is 'Requests made to a provider per day, across restarts and nodes.';

create table sync_cursors (
    integration_id uuid not null references integrations (id),
    what text not null,
    cursor text,
    synced_to timestamptz,
    updated_at timestamptz not null default now(),
    primary key (integration_id, what)
);
comment on table sync_cursors is 'How far a provider''s history was read.';

create table analytics_events (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    name text not null,
    properties jsonb not null default '{}',
    user_id uuid default acting_user_id() references users (id),
    occurred_at timestamptz not null default now(),
    primary key (organization_id, id)
);
create index analytics_events_name_idx on analytics_events (organization_id, name, occurred_at desc);
comment on table analytics_events is 'Product events, such as a number being mapped.';
