-- What providers tell us, and what it means: calls, messages, voicemails, recordings.

-- Partitioned by month received; the keys that deduplicate live in a small table of their own.
create table inbox (
    id uuid not null,
    received_at timestamptz not null default clock_timestamp(),
    integration_id uuid not null,
    organization_id uuid,
    provider text not null,
    event_key text not null,
    -- How the signature was checked: the scheme's name.
    verdict text not null,
    headers jsonb not null,
    body bytea not null,
    primary key (received_at, id)
) partition by range (received_at);
create index inbox_id_idx on inbox (id);
create index inbox_organization_id_idx on inbox (organization_id, received_at desc);
comment on table inbox is 'Each webhook as it came, durable before it is answered. Never changed.';

create table inbox_keys (
    integration_id uuid not null references integrations (id),
    event_key text collate "C" not null,
    inbox_id uuid not null,
    body_hash bytea not null check (length(body_hash) = 32),
    received_at timestamptz not null default clock_timestamp(),
    primary key (integration_id, event_key)
);
create index inbox_keys_received_at_idx on inbox_keys (received_at);
comment on table inbox_keys is 'Provider event keys seen: the same event twice is stored once.';

create table inbox_queue (
    seq bigint generated always as identity primary key,
    -- Hash of the provider's conversation id: one conversation is interpreted by one worker at a time.
    lane smallint not null check (lane between 0 and 63),
    inbox_id uuid not null,
    received_at timestamptz not null,
    run_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    last_error text,
    -- Given up, or waiting for a person: shown, and replayed on request.
    parked_at timestamptz
) with (fillfactor = 80);
create index inbox_queue_lane_idx on inbox_queue (lane, seq) where parked_at is null;
create index inbox_queue_parked_idx on inbox_queue (parked_at) where parked_at is not null;
create unique index inbox_queue_inbox_id_key on inbox_queue (inbox_id);
comment on table inbox_queue is 'Inbox rows that are not yet interpreted. A row is deleted in the transaction that stores its meaning.';

create table webhook_rejections (
    integration_id uuid not null references integrations (id),
    day date not null,
    reason text not null check (reason in ('missing', 'wrong', 'stale', 'too_large')),
    count bigint not null default 0,
    primary key (integration_id, day, reason)
);
comment on table webhook_rejections is 'How many webhooks were refused for their signature. Nothing else of them is kept.';

create table calls (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    provider text not null,
    -- The provider's id of the whole conversation (the root leg).
    conversation_sid text collate "C" not null,
    integration_id uuid not null references integrations (id),
    phone_number_id uuid references phone_numbers (id),
    mapping_id uuid,
    direction text not null check (direction in ('incoming', 'outgoing')),
    state text not null check (state in ('queued', 'ringing', 'in_progress', 'ended')),
    outcome text check (outcome in ('answered', 'missed', 'voicemail', 'busy', 'failed', 'canceled', 'forwarded', 'abandoned')),
    -- The other side: E.164, or what the provider gave (short code, anonymous, SIP address).
    external_party text collate "C" not null default '',
    from_party text not null default '',
    to_party text not null default '',
    customer_id uuid,
    answered_by uuid references users (id),
    started_at timestamptz not null,
    answered_at timestamptz,
    ended_at timestamptz,
    billable_seconds bigint not null default 0 check (billable_seconds >= 0),
    -- Known legs. The state may go back only when a leg is added: the caller was sent on.
    leg_count integer not null default 1 check (leg_count > 0),
    -- Set when two conversations turned out to be one; such a row is no call any more and no list shows it.
    merged_into_id uuid,
    -- When the provider is to be asked for what has not come, and how often it was.
    check_at timestamptz,
    fetches integer not null default 0,
    swept_at timestamptz,
    viewer_ids uuid[] not null default '{}',
    updated_at timestamptz not null default now(),
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, mapping_id) references number_mappings (organization_id, id),
    foreign key (organization_id, merged_into_id) references calls (organization_id, id),
    constraint calls_conversation_sid_key unique (organization_id, integration_id, conversation_sid),
    constraint calls_ended_check check ((state = 'ended') = (ended_at is not null)),
    constraint calls_order_check check (ended_at is null or answered_at is null or ended_at >= answered_at)
) with (fillfactor = 70);
create index calls_started_at_idx on calls (organization_id, started_at desc, id desc);
create index calls_customer_id_idx on calls (organization_id, customer_id, started_at desc);
create index calls_phone_number_id_idx on calls (organization_id, phone_number_id, started_at desc);
create index calls_external_party_idx on calls (organization_id, external_party, started_at desc);
create index calls_live_idx on calls (organization_id, started_at desc) where state <> 'ended' and merged_into_id is null;
create index calls_merged_into_id_idx on calls (organization_id, merged_into_id) where merged_into_id is not null;
create index calls_check_at_idx on calls (check_at) where check_at is not null;
comment on table calls is 'One conversation, whatever the number of provider legs or callbacks. Its state only moves forward.';

create table call_legs (
    organization_id uuid not null,
    id uuid not null,
    call_id uuid not null,
    integration_id uuid not null references integrations (id),
    sid text collate "C" not null,
    parent_sid text collate "C",
    phase text not null check (phase in ('queued', 'ringing', 'in_progress', 'ended')),
    external_party text collate "C" not null default '',
    our_number text not null default '',
    answered_by uuid references users (id),
    started_at timestamptz,
    answered_at timestamptz,
    ended_at timestamptz,
    -- Everything observed of the provider's record, joined; the columns above are read from it.
    observed jsonb not null,
    primary key (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    constraint call_legs_sid_key unique (organization_id, integration_id, sid)
) with (fillfactor = 70);
create index call_legs_call_id_idx on call_legs (organization_id, call_id);
create index call_legs_integration_id_sid_idx on call_legs (integration_id, sid);
create index call_legs_parent_sid_idx on call_legs (integration_id, parent_sid) where parent_sid is not null;
create index call_legs_external_party_idx on call_legs (organization_id, external_party, started_at);
comment on table call_legs is 'A provider''s record of a part of a conversation, as the join of everything observed of it.';

create table call_events (
    organization_id uuid not null,
    id uuid not null,
    call_id uuid not null,
    occurred_at timestamptz not null,
    kind text not null,
    inbox_id uuid,
    inbox_received_at timestamptz,
    primary key (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id)
);
create index call_events_call_id_idx on call_events (organization_id, call_id, occurred_at);
create unique index call_events_inbox_id_key on call_events (organization_id, inbox_id, kind) where inbox_id is not null;
comment on table call_events is 'The timeline of a call: what the provider said, when, and in which webhook.';

create table call_viewers (
    organization_id uuid not null,
    user_id uuid not null,
    started_at timestamptz not null,
    call_id uuid not null,
    primary key (organization_id, user_id, started_at, call_id),
    foreign key (organization_id, call_id) references calls (organization_id, id)
);
comment on table call_viewers is 'Which members may see a call, written when it is known; drives their lists.';

create table messages (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    provider text not null,
    sid text collate "C" not null,
    integration_id uuid not null references integrations (id),
    phone_number_id uuid references phone_numbers (id),
    mapping_id uuid,
    direction text not null check (direction in ('incoming', 'outgoing')),
    status text not null check (status in ('queued', 'sent', 'delivered', 'undelivered', 'failed', 'received')),
    external_party text collate "C" not null default '',
    from_party text not null default '',
    to_parties text[] not null default '{}',
    body text not null default '',
    media jsonb not null default '[]',
    error_code text,
    customer_id uuid,
    sent_by uuid references users (id),
    occurred_at timestamptz not null,
    -- Everything observed, joined.
    observed jsonb not null,
    viewer_ids uuid[] not null default '{}',
    primary key (organization_id, id),
    foreign key (organization_id, customer_id) references customers (organization_id, id),
    foreign key (organization_id, mapping_id) references number_mappings (organization_id, id),
    constraint messages_sid_key unique (organization_id, integration_id, sid)
);
create index messages_occurred_at_idx on messages (organization_id, occurred_at desc, id desc);
create index messages_customer_id_idx on messages (organization_id, customer_id, occurred_at desc);
create index messages_external_party_idx on messages (organization_id, external_party, occurred_at desc);
create index messages_phone_number_id_idx on messages (organization_id, phone_number_id, occurred_at desc);
comment on table messages is 'A text message in or out.';

create table message_viewers (
    organization_id uuid not null,
    user_id uuid not null,
    occurred_at timestamptz not null,
    message_id uuid not null,
    primary key (organization_id, user_id, occurred_at, message_id),
    foreign key (organization_id, message_id) references messages (organization_id, id)
);
comment on table message_viewers is 'Which members may see a message.';

create table voicemails (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    call_id uuid not null,
    provider text not null,
    sid text collate "C" not null,
    duration_seconds bigint check (duration_seconds >= 0),
    transcript text,
    provider_url text,
    occurred_at timestamptz not null,
    viewer_ids uuid[] not null default '{}',
    primary key (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    constraint voicemails_provider_sid_key unique (organization_id, provider, sid)
);
create index voicemails_call_id_idx on voicemails (organization_id, call_id);
create index voicemails_occurred_at_idx on voicemails (organization_id, occurred_at desc, id desc);
comment on table voicemails is 'A message left by a caller.';

create table voicemail_viewers (
    organization_id uuid not null,
    user_id uuid not null,
    occurred_at timestamptz not null,
    voicemail_id uuid not null,
    primary key (organization_id, user_id, occurred_at, voicemail_id),
    foreign key (organization_id, voicemail_id) references voicemails (organization_id, id)
);
comment on table voicemail_viewers is 'Which members may see a voicemail.';

create table recordings (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    id uuid not null,
    call_id uuid not null,
    provider text not null,
    sid text collate "C" not null,
    duration_seconds bigint check (duration_seconds >= 0),
    content_type text,
    -- The provider's link expires; the bytes are copied under object_key.
    provider_url text,
    object_key text,
    started_at timestamptz,
    occurred_at timestamptz not null,
    viewer_ids uuid[] not null default '{}',
    primary key (organization_id, id),
    foreign key (organization_id, call_id) references calls (organization_id, id),
    constraint recordings_provider_sid_key unique (organization_id, provider, sid)
);
create index recordings_call_id_idx on recordings (organization_id, call_id);
create index recordings_occurred_at_idx on recordings (organization_id, occurred_at desc, id desc);
comment on table recordings is 'The sound of a call, or of a part of it.';

create table transcripts (
    organization_id uuid not null default acting_organization_id() references organizations (id),
    call_id uuid not null,
    -- [{speaker, startMs, endMs, text}]
    dialogue jsonb not null default '[]',
    summary text[] not null default '{}',
    next_steps text[] not null default '{}',
    viewer_ids uuid[] not null default '{}',
    updated_at timestamptz not null default now(),
    primary key (organization_id, call_id),
    foreign key (organization_id, call_id) references calls (organization_id, id)
);
comment on table transcripts is 'What was said in a call, and its summary.';

-- What a provider charged for a communication. Kept apart so that columns do not leak what rows hide: only the bearer sees it.
create table provider_costs (
    organization_id uuid not null references organizations (id),
    id uuid not null,
    bearer text not null check (bearer in ('platform', 'organization')),
    provider text not null,
    subject text not null check (subject in ('call', 'message', 'recording', 'number')),
    subject_id uuid not null,
    -- Null: not known yet. Never 0 for unknown.
    amount numeric(38, 12),
    currency text check (currency ~ '^[A-Z]{3}$'),
    occurred_at timestamptz not null,
    known_at timestamptz,
    primary key (organization_id, id),
    constraint provider_costs_known_check check ((amount is null) = (known_at is null) and (amount is null or currency is not null))
);
create unique index provider_costs_subject_key on provider_costs (organization_id, subject, subject_id);
create index provider_costs_pending_idx on provider_costs (occurred_at) where amount is null;
comment on table provider_costs is 'Provider cost of a communication; a price that is not known is null, never 0.';

create table search_terms (
    organization_id uuid not null references organizations (id),
    term text collate "C" not null,
    kind text not null check (kind in ('customer', 'number', 'invoice')),
    id uuid not null,
    primary key (organization_id, term, kind, id)
);
create index search_terms_id_idx on search_terms (organization_id, kind, id);
comment on table search_terms is 'Words that find a thing, read by range (term >= a and term < b), which works under row-level security.';
