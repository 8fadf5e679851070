-- What ingest is compared with: a plain design of the same, counters and logs per number with four indexes, and one
-- function call per event.
create table tenant_phone_mappings (
    id uuid primary key default gen_random_uuid(),
    tenant_id text not null,
    twilio_number_sid text not null,
    phone_number text not null,
    number_type text not null default 'both' check (number_type in ('voice', 'sms', 'both')),
    provisioned_at timestamptz not null default now(),
    deprovisioned_at timestamptz,
    unique (tenant_id, phone_number)
);
create table tenant_usage_counters (
    id uuid primary key default gen_random_uuid(),
    tenant_id text not null,
    phone_mapping_id uuid not null references tenant_phone_mappings (id),
    billing_period_start timestamptz not null,
    billing_period_end timestamptz not null,
    voice_minutes_used integer not null default 0,
    sms_count_used integer not null default 0,
    voice_calls_count integer not null default 0,
    sms_sent_count integer not null default 0,
    sms_received_count integer not null default 0,
    updated_at timestamptz not null default now(),
    unique (tenant_id, phone_mapping_id, billing_period_start)
);
create table tenant_usage_logs (
    id uuid primary key default gen_random_uuid(),
    tenant_id text not null,
    phone_mapping_id uuid not null references tenant_phone_mappings (id),
    usage_type text not null check (usage_type in ('voice', 'sms')),
    quantity numeric not null,
    unit text not null,
    metadata jsonb not null default '{}',
    logged_at timestamptz not null default now()
);
create index on tenant_usage_logs (tenant_id);
create index on tenant_usage_logs (phone_mapping_id);
create index on tenant_usage_logs (usage_type);
create index on tenant_usage_logs (logged_at);

create function get_or_create_usage_counter(p_tenant_id text, p_phone_mapping_id uuid) returns uuid language plpgsql as $$
declare
    v_start timestamptz := date_trunc('month', now());
    v_id uuid;
begin
    select id into v_id from tenant_usage_counters
        where tenant_id = p_tenant_id and phone_mapping_id = p_phone_mapping_id and billing_period_start = v_start;
    if v_id is null then
        insert into tenant_usage_counters (tenant_id, phone_mapping_id, billing_period_start, billing_period_end)
            values (p_tenant_id, p_phone_mapping_id, v_start, v_start + interval '1 month')
            on conflict (tenant_id, phone_mapping_id, billing_period_start) do update set updated_at = now()
            returning id into v_id;
    end if;
    return v_id;
end
$$;

create function log_voice_usage(p_tenant_id text, p_phone_mapping_id uuid, p_duration_seconds integer, p_call_metadata jsonb default '{}')
    returns uuid language plpgsql as $$
declare
    v_minutes integer := ceil(p_duration_seconds / 60.0);
    v_counter uuid := get_or_create_usage_counter(p_tenant_id, p_phone_mapping_id);
    v_log uuid;
begin
    insert into tenant_usage_logs (tenant_id, phone_mapping_id, usage_type, quantity, unit, metadata)
        values (p_tenant_id, p_phone_mapping_id, 'voice', v_minutes, 'minutes', p_call_metadata)
        returning id into v_log;
    update tenant_usage_counters
        set voice_minutes_used = voice_minutes_used + v_minutes, voice_calls_count = voice_calls_count + 1, updated_at = now()
        where id = v_counter;
    return v_log;
end
$$;

insert into tenant_phone_mappings (id, tenant_id, twilio_number_sid, phone_number)
    select ('018d0000-0003-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'bench', 'PN' || lpad(n::text, 32, '0'), '+1212' || lpad(n::text, 7, '0')
    from generate_series(0, 999) n;
