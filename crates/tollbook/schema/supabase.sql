-- Functions that clients of older systems call, in `psql` or as remote procedures. Applied after the migrations; repeatable.
-- They run as whoever calls them, so row-level security holds; nobody may call them but the platform and admins.
-- They are the first stage only: usage, its counters and its place in the rating queue, by the one statement that the
-- application itself uses (`store_usage`, made of metering/insert.sql by the migrator).

-- What time it is in the business: what the application says, whose clock may run faster, else the database's.
create or replace function acting_now() returns timestamptz language sql volatile as $$
    select coalesce(nullif(current_setting('tollbook.now', true), '')::timestamptz, clock_timestamp())
$$;

-- A UUID of version 7: milliseconds first, so that rows of one time are neighbours.
create or replace function uuid_v7() returns uuid language sql volatile as $$
    select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- The organization that a client calls `p_tenant_id`: by its external key, else by its id.
create or replace function tenant_organization(p_tenant_id text) returns uuid language plpgsql stable as $$
declare
    found_id uuid;
begin
    select o.id into found_id from organizations o where o.external_key = p_tenant_id;
    if found_id is null and p_tenant_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then
        select o.id into found_id from organizations o where o.id = p_tenant_id::uuid;
    end if;
    if found_id is null and acting_organization_id() is not null then
        -- Whether there is such a tenant is not for another one to know.
        raise exception 'tenant "%" is not yours', p_tenant_id using errcode = 'insufficient_privilege';
    elsif found_id is null then
        raise exception 'unknown tenant "%"', p_tenant_id using errcode = 'invalid_parameter_value',
            hint = 'Give the external key or the id of an organization.';
    end if;
    return found_id;
end
$$;

-- Refuses a mapping that is not the organization's; whether it exists elsewhere is not told.
create or replace function check_phone_mapping(p_organization_id uuid, p_phone_mapping_id uuid) returns void language plpgsql stable as $$
begin
    if p_phone_mapping_id is null then
        raise exception 'p_phone_mapping_id must not be null' using errcode = 'invalid_parameter_value';
    end if;
    perform from number_mappings m where m.organization_id = p_organization_id and m.id = p_phone_mapping_id;
    if not found then
        raise exception 'phone mapping "%" is not the tenant''s', p_phone_mapping_id using errcode = 'insufficient_privilege';
    end if;
end
$$;

-- Metadata as it is stored: nothing given means nothing known.
create or replace function usage_metadata(p_metadata jsonb, p_name text) returns jsonb language plpgsql immutable as $$
begin
    if jsonb_typeof(coalesce(p_metadata, '{}')) <> 'object' then
        raise exception '% must be a JSON object', p_name using errcode = 'invalid_parameter_value';
    end if;
    return coalesce(p_metadata, '{}');
end
$$;

-- The key under which a call or message counts once: that of the provider's webhooks, so that a fact that comes both
-- ways is one fact. Null without an SID.
create or replace function usage_key(p_subject text, p_sid text, p_what text) returns text language sql immutable as $$
    select 'twilio:' || p_subject || ':' || case when length(p_sid) <= 128 then p_sid else encode(sha256(convert_to(p_sid, 'UTF8')), 'hex') end
        || ':' || p_what
    where p_sid <> ''
$$;

-- Stores one usage event of a mapping, or finds the one that its key stands for; returns its id.
create or replace function log_usage(p_organization_id uuid, p_phone_mapping_id uuid, p_meter text, p_quantity numeric, p_key text, p_metadata jsonb)
    returns uuid language plpgsql as $$
declare
    event_id constant uuid := uuid_v7();
    content_hash constant bytea := substring(sha256(convert_to(jsonb_build_array(p_meter, p_quantity, p_phone_mapping_id, p_metadata)::text, 'UTF8')) for 16);
    -- Of one SID on two mappings each counts.
    event_keys constant text[] := case when p_key is null then array['id:' || event_id] else array[p_key, p_key || ':' || p_phone_mapping_id] end;
    event_key text;
    stored_id uuid;
    original record;
begin
    foreach event_key in array event_keys loop
        select s.id into stored_id from store_usage(array[p_organization_id], array[event_id], array[p_meter], array[p_quantity], array[acting_now()],
            array[event_key], array[substring(sha256(convert_to(event_key, 'UTF8')) for 16)], array[content_hash],
            array[null]::uuid[], array[p_phone_mapping_id], array[null]::uuid[], array[null]::uuid[],
            array[null]::text[], array[null]::text[], array[p_metadata], array[null]::uuid[]) as s (id);
        if found then
            return stored_id;
        end if;
        select e.id, e.mapping_id, e.quantity into original from usage_events e
            where e.organization_id = p_organization_id and e.key_digest = substring(sha256(convert_to(event_key, 'UTF8')) for 16);
        if original.mapping_id = p_phone_mapping_id then
            if original.quantity <> p_quantity then
                raise warning 'usage "%" was logged before as %, and counts as that', event_key, trim_scale(original.quantity);
            end if;
            return original.id;
        end if;
    end loop;
    raise exception 'usage "%" belongs to another phone mapping', p_key using errcode = 'unique_violation';
end
$$;

-- The mapping's counter of the present month in the organization's zone, made with zeros if it is not there.
create or replace function get_or_create_usage_counter(p_tenant_id text, p_phone_mapping_id uuid)
    returns tenant_usage_counters language plpgsql as $$
declare
    holder_id constant uuid := tenant_organization(p_tenant_id);
    at constant timestamptz := acting_now();
    counter_id uuid;
    counter tenant_usage_counters;
begin
    perform check_phone_mapping(holder_id, p_phone_mapping_id);
    with month as (
        select date_trunc('month', at at time zone o.zone) as first_day, o.zone from organizations o where o.id = holder_id
    ), made as (
        insert into number_counters (organization_id, id, mapping_id, period_start, period_end)
        select holder_id, uuid_v7(), p_phone_mapping_id, m.first_day at time zone m.zone, (m.first_day + interval '1 month') at time zone m.zone from month m
        on conflict on constraint number_counters_mapping_period_key do nothing
        returning id
    )
    select id into counter_id from made;
    if counter_id is null then
        select n.id into counter_id from number_counters n join organizations o on o.id = n.organization_id
            where n.organization_id = holder_id and n.mapping_id = p_phone_mapping_id
                and n.period_start = date_trunc('month', at at time zone o.zone) at time zone o.zone;
    end if;
    select c.* into counter from tenant_usage_counters c where c.organization_id = holder_id and c.id = counter_id;
    return counter;
end
$$;

-- Logs a call: its seconds are a usage event, its started minutes and the call itself go on the mapping's counter.
create or replace function log_voice_usage(p_tenant_id text, p_phone_mapping_id uuid, p_duration_seconds integer, p_call_metadata jsonb default '{}')
    returns uuid language plpgsql as $$
declare
    holder_id constant uuid := tenant_organization(p_tenant_id);
    metadata constant jsonb := usage_metadata(p_call_metadata, 'p_call_metadata');
begin
    perform check_phone_mapping(holder_id, p_phone_mapping_id);
    if p_duration_seconds is null or p_duration_seconds < 0 then
        raise exception 'p_duration_seconds must be zero or more' using errcode = 'invalid_parameter_value';
    end if;
    return log_usage(holder_id, p_phone_mapping_id, 'CALL_DURATION_SECONDS', p_duration_seconds, usage_key('call', metadata ->> 'call_sid', 'seconds'), metadata);
end
$$;

-- Logs a message that was sent (`outbound`) or received (`inbound`).
create or replace function log_sms_usage(p_tenant_id text, p_phone_mapping_id uuid, p_direction text, p_sms_metadata jsonb default '{}')
    returns uuid language plpgsql as $$
declare
    holder_id constant uuid := tenant_organization(p_tenant_id);
    metadata constant jsonb := usage_metadata(p_sms_metadata, 'p_sms_metadata');
    is_sent boolean;
begin
    perform check_phone_mapping(holder_id, p_phone_mapping_id);
    if p_direction is null or p_direction not in ('inbound', 'outbound') then
        raise exception 'p_direction must be "inbound" or "outbound"' using errcode = 'invalid_parameter_value';
    end if;
    is_sent := p_direction = 'outbound';
    return log_usage(holder_id, p_phone_mapping_id, case when is_sent then 'SMS_SENT' else 'SMS_RECEIVED' end, 1,
        usage_key('message', metadata ->> 'message_sid', case when is_sent then 'sent' else 'received' end), metadata);
end
$$;

do $$
declare
    signature regprocedure;
begin
    foreach signature in array array['acting_now()', 'uuid_v7()', 'tenant_organization(text)', 'check_phone_mapping(uuid, uuid)',
        'usage_metadata(jsonb, text)', 'usage_key(text, text, text)', 'log_usage(uuid, uuid, text, numeric, text, jsonb)',
        'get_or_create_usage_counter(text, uuid)', 'log_voice_usage(text, uuid, integer, jsonb)', 'log_sms_usage(text, uuid, text, jsonb)']::regprocedure[] loop
        execute format('revoke execute on function %s from public', signature);
        execute format('grant execute on function %s to tollbook_platform, tollbook_admin', signature);
    end loop;
end
$$;
