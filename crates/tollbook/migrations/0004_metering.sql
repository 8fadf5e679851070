-- What is counted.

create table meters (
    organization_id uuid default acting_organization_id() references organizations (id),
    code text not null check (code ~ '^[A-Za-z][A-Za-z0-9_]{0,62}$'),
    name text not null,
    base_unit text not null check (base_unit <> ''),
    aggregation text not null default 'sum' check (aggregation in ('sum', 'max', 'last', 'time_weighted')),
    created_at timestamptz not null default now(),
    constraint meters_organization_id_code_key unique nulls not distinct (organization_id, code)
);
insert into meters (organization_id, code, name, base_unit, aggregation) values
    (null, 'SMS_SENT', 'SMS sent', 'message', 'sum'),
    (null, 'SMS_RECEIVED', 'SMS received', 'message', 'sum'),
    (null, 'CALL_MADE', 'Calls made', 'call', 'sum'),
    (null, 'CALL_RECEIVED', 'Calls received', 'call', 'sum'),
    (null, 'CALL_DURATION_SECONDS', 'Call time', 'second', 'sum'),
    (null, 'AI_MESSAGE_GENERATED', 'AI messages', 'action', 'sum'),
    (null, 'AI_VOICE_GENERATED', 'AI voice', 'action', 'sum'),
    (null, 'AI_TEMPLATE_CREATED', 'AI templates', 'action', 'sum'),
    (null, 'CONTENT_AI_GENERATED', 'AI content', 'action', 'sum'),
    (null, 'CAMPAIGN_LAUNCHED', 'Campaigns launched', 'action', 'sum'),
    (null, 'JOURNEY_LAUNCHED', 'Journeys launched', 'action', 'sum'),
    (null, 'CONTACT_CREATED', 'Contacts created', 'action', 'sum'),
    (null, 'TEMPLATE_CREATED', 'Templates created', 'action', 'sum'),
    (null, 'WEBHOOK_TRIGGERED', 'Webhooks triggered', 'action', 'sum'),
    (null, 'STORAGE_USED_MB', 'Storage', 'megabyte', 'max'),
    (null, 'API_REQUEST', 'API requests', 'request', 'sum'),
    (null, 'voicemail', 'Voicemails', 'voicemail', 'sum'),
    (null, 'recording', 'Recordings', 'recording', 'sum'),
    (null, 'recording_storage', 'Recording storage', 'megabyte', 'time_weighted'),
    (null, 'transcript', 'Transcripts', 'transcript', 'sum'),
    (null, 'number_month', 'Numbers held', 'number', 'sum');
comment on table meters is 'What is counted, with its base unit. Rows without organization are built in.';

-- No per-row foreign keys here (they cost two thirds of the ingest rate): one statement trigger with a
-- transition table refuses unknown references (schema/guards.sql), and what they refer to cannot be deleted.
create table usage_events (
    organization_id uuid not null,
    id uuid not null,
    meter text not null,
    quantity numeric(38, 12) not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp(),
    idempotency_key text not null check (length(idempotency_key) between 1 and 255),
    -- The first 16 bytes of SHA-256 of the key.
    key_digest bytea not null check (length(key_digest) = 16),
    request_hash bytea not null check (length(request_hash) = 16),
    user_id uuid,
    mapping_id uuid,
    customer_id uuid,
    call_id uuid,
    resource_type text,
    resource_id text,
    metadata jsonb not null default '{}',
    corrects_id uuid,
    primary key (organization_id, id)
);
create unique index usage_events_key_digest_key on usage_events (organization_id, key_digest);
create index usage_events_occurred_at_idx on usage_events (organization_id, meter, occurred_at desc, id desc);
create index usage_events_call_id_idx on usage_events (organization_id, call_id) where call_id is not null;
create index usage_events_customer_id_idx on usage_events (organization_id, customer_id, occurred_at desc) where customer_id is not null;
create index usage_events_corrects_id_idx on usage_events (organization_id, corrects_id) where corrects_id is not null;
comment on table usage_events is 'An immutable billable fact. A correction is a new event that names the one it corrects.';

create table usage_counters (
    organization_id uuid not null,
    meter text not null,
    -- Calendar month in the organization's zone.
    period_start timestamptz not null,
    period_end timestamptz not null,
    quantity numeric(38, 12) not null default 0,
    events bigint not null default 0,
    primary key (organization_id, meter, period_start),
    constraint usage_counters_period_check check (period_end > period_start)
) with (fillfactor = 50);
comment on table usage_counters is 'Running totals of an organization by meter and month, updated in the transaction of the events.';

create table number_counters (
    organization_id uuid not null,
    id uuid not null,
    mapping_id uuid not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    voice_seconds bigint not null default 0,
    -- Sum over calls of started minutes.
    voice_minutes bigint not null default 0,
    voice_calls bigint not null default 0,
    sms_sent bigint not null default 0,
    sms_received bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, mapping_id) references number_mappings (organization_id, id),
    constraint number_counters_mapping_period_key unique (organization_id, mapping_id, period_start),
    constraint number_counters_period_check check (period_end > period_start)
) with (fillfactor = 50);
comment on table number_counters is 'Voice and SMS totals of a number mapping by calendar month in the organization''s zone.';

create table rating_queue (
    seq bigint generated always as identity primary key,
    -- Hash of the account: what shares an allowance is rated by one worker at a time.
    lane smallint not null check (lane between 0 and 63),
    organization_id uuid not null,
    account_id uuid not null,
    usage_event_id uuid not null,
    queued_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    last_error text,
    parked_at timestamptz
) with (fillfactor = 80);
create index rating_queue_lane_idx on rating_queue (lane, seq) where parked_at is null;
create index rating_queue_account_idx on rating_queue (organization_id, account_id);
create index rating_queue_parked_idx on rating_queue (parked_at) where parked_at is not null;
create unique index rating_queue_usage_event_key on rating_queue (organization_id, usage_event_id, account_id);
comment on table rating_queue is 'Usage that is not yet rated, once per account that pays for it. A row is deleted in the transaction that stores its charges.';
