-- Relations under the names by which clients of older systems know them. Made anew after the migrations.
-- Read-only: what they show is written through the tables beneath. Each runs as whoever asks (`security_invoker`), so
-- row-level security decides what is seen. `users`, `invoices`, `payment_methods`, `phone_numbers` and
-- `analytics_events` bear their name already. The application itself reads none of these.

-- Those that are no more go too, and with them the functions that return their rows.
do $$
declare
    view_name text;
begin
    for view_name in select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'v' loop
        execute format('drop view if exists public.%I cascade', view_name);
    end loop;
end
$$;

create view tenants with (security_invoker = true) as
select o.id, o.id as organization_id, o.external_key as tenant_id, o.name, o.country, o.zone as time_zone, o.currency,
    o.created_at, o.updated_at
from organizations o;

-- Communications.

create view call_history with (security_invoker = true) as
select c.id, c.organization_id, o.external_key as tenant_id, c.provider, c.conversation_sid as call_sid,
    case c.direction when 'incoming' then 'inbound' else 'outbound' end as direction,
    case c.state when 'ended' then coalesce(c.outcome, 'ended') else c.state end as status,
    c.billable_seconds as duration,
    (select '/api/recordings/' || r.id || '/media' from recordings r
        where r.organization_id = c.organization_id and r.call_id = c.id order by r.occurred_at, r.id limit 1) as recording_url,
    c.from_party as from_number, c.to_party as to_number, c.phone_number_id, c.customer_id, c.answered_by as user_id,
    c.started_at as start_time, c.answered_at as answer_time, c.ended_at as end_time
from calls c
join organizations o on o.id = c.organization_id
where c.merged_into_id is null;

create view voicemail_logs with (security_invoker = true) as
select v.id, v.organization_id, v.call_id, c.external_party as from_number, c.phone_number_id, v.duration_seconds as duration,
    v.provider_url as message_url, v.transcript as transcription,
    jsonb_build_object('provider', v.provider, 'voicemail_sid', v.sid, 'call_sid', c.conversation_sid) as metadata,
    v.occurred_at as received_at
from voicemails v
left join calls c on c.organization_id = v.organization_id and c.id = v.call_id;

create view sms_logs with (security_invoker = true) as
select m.id, m.organization_id, m.provider, m.sid as message_sid,
    case m.direction when 'incoming' then 'inbound' else 'outbound' end as direction,
    m.from_party as from_number, m.to_parties as to_numbers, m.body as message_text, m.status, m.phone_number_id, m.customer_id,
    m.sent_by as user_id, m.observed as metadata, m.occurred_at as sent_at
from messages m;

create view mightycall_recordings with (security_invoker = true) as
select r.id, r.organization_id, r.call_id, '/api/recordings/' || r.id || '/media' as recording_url, r.duration_seconds as duration,
    jsonb_build_object('recording_sid', r.sid, 'content_type', r.content_type) as metadata, r.started_at as start_time,
    r.occurred_at as recorded_at
from recordings r
where r.provider = 'mightycall';

-- One row per day in the organization's zone, number and user.
create view mightycall_reports with (security_invoker = true) as
select md5(concat_ws('|', d.organization_id, d.report_date - date '1970-01-01', coalesce(d.phone_number_id::text, ''), coalesce(d.user_id::text, '')))::uuid as id,
    d.organization_id, d.report_date, d.phone_number_id, d.user_id, count(*) as total_calls,
    count(*) filter (where d.direction = 'incoming') as inbound_calls,
    count(*) filter (where d.direction = 'outgoing') as outbound_calls,
    count(*) filter (where d.outcome = 'answered') as answered_calls,
    count(*) filter (where d.outcome is distinct from 'answered') as unanswered_calls,
    sum(d.billable_seconds)::bigint as total_duration
from (
    select c.organization_id, (c.started_at at time zone o.zone)::date as report_date, c.phone_number_id, c.answered_by as user_id,
        c.direction, c.outcome, c.billable_seconds
    from calls c
    join organizations o on o.id = c.organization_id
    where c.provider = 'mightycall' and c.state = 'ended' and c.merged_into_id is null
) d
group by d.organization_id, d.report_date, d.phone_number_id, d.user_id;

-- The price is the provider's: whoever does not bear it sees null, as row-level security of provider_costs has it.
create view twilio_calls with (security_invoker = true) as
select c.id, c.organization_id, c.phone_number_id, c.answered_by as user_id, c.conversation_sid as call_sid,
    case c.direction when 'incoming' then 'inbound' else 'outbound' end as direction,
    case c.state when 'ended' then coalesce(c.outcome, 'ended') else c.state end as status,
    c.from_party as from_number, c.to_party as to_number, c.billable_seconds as duration, k.amount as price,
    k.currency as price_unit, c.started_at as start_time, c.ended_at as end_time
from calls c
left join provider_costs k on k.organization_id = c.organization_id and k.subject = 'call' and k.subject_id = c.id
where c.provider = 'twilio' and c.merged_into_id is null;

create view twilio_recordings with (security_invoker = true) as
select r.id, r.organization_id, c.phone_number_id, r.call_id, r.sid as recording_sid,
    '/api/recordings/' || r.id || '/media' as recording_url, r.duration_seconds as duration, k.amount as price,
    k.currency as price_unit, coalesce(r.started_at, r.occurred_at) as start_time
from recordings r
join calls c on c.organization_id = r.organization_id and c.id = r.call_id
left join provider_costs k on k.organization_id = r.organization_id and k.subject = 'recording' and k.subject_id = r.id
where r.provider = 'twilio';

-- Numbers and who may use them.

create view user_phone_assignments with (security_invoker = true) as
select a.id, a.organization_id, a.user_id, a.phone_number_id, a.kind, a.starts_at as assigned_at, a.created_by as assigned_by
from assignments a
where a.ends_at is null;

create view user_phone_numbers with (security_invoker = true) as
select n.id, a.organization_id, a.user_id, n.e164 as phone_number, n.label as friendly_name, n.provider_number_sid as sid,
    n.capabilities, case when n.active then 'active' else 'inactive' end as status, a.kind, a.starts_at as assigned_at
from assignments a
join phone_numbers n on n.organization_id = a.organization_id and n.id = a.phone_number_id
where a.ends_at is null;

create view tenant_phone_mappings with (security_invoker = true) as
select distinct on (m.organization_id, m.phone_number_id) m.id, m.organization_id, o.external_key as tenant_id,
    -- Of a number that another organization holds by now, what was written down when it was mapped.
    coalesce(n.provider_number_sid, m.metadata ->> 'twilio_number_sid') as twilio_number_sid,
    coalesce(n.e164, m.metadata ->> 'phone_number') as phone_number,
    m.number_type, m.starts_at as provisioned_at, m.ends_at as deprovisioned_at, m.phone_number_id, m.metadata, m.created_at
from number_mappings m
join organizations o on o.id = m.organization_id
left join phone_numbers n on n.id = m.phone_number_id
order by m.organization_id, m.phone_number_id, m.starts_at desc;

-- Usage. A period is shown by its first and its last day in the organization's zone.

create view tenant_usage_counters with (security_invoker = true) as
select c.id, c.organization_id, o.external_key as tenant_id, c.mapping_id as phone_mapping_id,
    (c.period_start at time zone o.zone)::date as billing_period_start,
    (c.period_end at time zone o.zone)::date - 1 as billing_period_end,
    c.voice_minutes as voice_minutes_used, c.sms_sent + c.sms_received as sms_count_used, c.voice_calls as voice_calls_count,
    c.sms_sent as sms_sent_count, c.sms_received as sms_received_count, c.voice_seconds as voice_seconds_used, c.updated_at
from number_counters c
join organizations o on o.id = c.organization_id;

create view tenant_usage_logs with (security_invoker = true) as
select e.id, e.organization_id, o.external_key as tenant_id, e.mapping_id as phone_mapping_id,
    case e.meter when 'CALL_DURATION_SECONDS' then 'voice' else 'sms' end as usage_type, e.quantity,
    case e.meter when 'CALL_DURATION_SECONDS' then 'second' else 'message' end as unit,
    case e.meter when 'SMS_SENT' then 'outbound' when 'SMS_RECEIVED' then 'inbound' end as direction,
    e.metadata, e.received_at as logged_at, e.occurred_at
from usage_events e
join organizations o on o.id = e.organization_id
where e.meter in ('CALL_DURATION_SECONDS', 'SMS_SENT', 'SMS_RECEIVED');

create view billing_usage with (security_invoker = true) as
select e.id, e.organization_id, o.external_key as tenant_id, e.meter as usage_type, e.quantity, e.user_id, e.resource_id,
    e.resource_type, e.metadata, e.customer_id, e.occurred_at, e.received_at as created_at
from usage_events e
join organizations o on o.id = e.organization_id;

-- Money. `amount` is exact to twelve digits, `amount_minor` what is printed.

create view usage_charges with (security_invoker = true) as
select c.id, c.organization_id, c.payer, c.customer_id, e.user_id, c.meter as usage_type, c.quantity, c.unit_price, c.divisor,
    c.amount, c.currency, c.kind, c.invoice_id, i.period_start as billing_period_start, i.period_end as billing_period_end,
    e.metadata, c.occurred_at, c.created_at
from charges c
join usage_events e on e.organization_id = c.organization_id and e.id = c.usage_event_id
left join invoices i on i.organization_id = c.organization_id and i.id = c.invoice_id;

create view invoice_line_items with (security_invoker = true) as
select l.id, l.organization_id, l.invoice_id, l.position, l.description, l.quantity, l.unit, l.unit_price, l.divisor,
    round(l.amount_numerator / l.amount_denominator, 12) as amount, l.amount_minor, i.currency, l.tax_percent as tax_rate
from invoice_lines l
join invoices i on i.organization_id = l.organization_id and i.id = l.invoice_id;

create view payment_transactions with (security_invoker = true) as
select p.id, p.organization_id, p.payer, p.customer_id, p.payment_method_id, p.channel as processor, p.reference as transaction_id,
    p.state as status, p.currency, p.amount_minor, p.received_at as processed_at, p.created_at
from payments p;

-- A plan of the platform has no organization. Minutes and messages are those of each billing interval.
create view billing_plans with (security_invoker = true) as
select p.id, nullif(p.seller_id, '00000000-0000-0000-0000-000000000000') as organization_id, p.code, p.name, p.kind,
    v.id as plan_version_id, v.version, v.currency,
    coalesce((v.document ->> 'intervalMonths')::integer, 1) as interval_months,
    round((v.document ->> 'baseFee')::numeric / coalesce((v.document ->> 'intervalMonths')::integer, 1), 12) as base_monthly_cost,
    (select sum((a.value ->> 'quantity')::numeric) / 60 from jsonb_array_elements(v.document -> 'allowances') a
        where a.value -> 'meters' ? 'CALL_DURATION_SECONDS') as included_minutes,
    (select sum((a.value ->> 'quantity')::numeric) from jsonb_array_elements(v.document -> 'allowances') a
        where a.value -> 'meters' ? 'SMS_SENT') as included_sms,
    (select round((r.value #>> '{rate,per_unit,price}')::numeric * 60 / coalesce((r.value #>> '{rate,per_unit,per}')::numeric, 1), 12)
        from jsonb_array_elements(v.document -> 'prices') with ordinality r (value, place)
        where r.value ->> 'meter' = 'CALL_DURATION_SECONDS' and r.value -> 'rate' ? 'per_unit' order by r.place limit 1) as overage_per_minute,
    (select round((r.value #>> '{rate,per_unit,price}')::numeric / coalesce((r.value #>> '{rate,per_unit,per}')::numeric, 1), 12)
        from jsonb_array_elements(v.document -> 'prices') with ordinality r (value, place)
        where r.value ->> 'meter' = 'SMS_SENT' and r.value -> 'rate' ? 'per_unit' order by r.place limit 1) as overage_per_sms,
    coalesce(v.document -> 'features', '[]') as features, p.archived_at, p.created_at
from plans p
left join lateral (
    select w.id, w.version, w.currency, w.document
    from plan_versions w
    where w.seller_id = p.seller_id and w.plan_id = p.id and w.state = 'published'
    order by w.version desc
    limit 1
) v on true;

create view org_subscriptions with (security_invoker = true) as
select s.id, s.organization_id, s.organization_id as org_id, v.plan_id, g.plan_version_id, s.state as status,
    extract(day from s.anchor_on)::integer as billing_cycle_day, s.interval_months,
    (p.starts_at at time zone s.zone)::date as current_period_start,
    (p.ends_at at time zone s.zone)::date - 1 as current_period_end,
    case when s.state in ('trial', 'active') and (s.ends_at is null or s.ends_at > p.ends_at)
        then (p.ends_at at time zone s.zone)::date end as next_billing_date,
    s.auto_renew, s.starts_at, s.ends_at, s.created_at
from subscriptions s
left join lateral (
    select h.seller_id, h.plan_version_id
    from subscription_segments h
    where h.organization_id = s.organization_id and h.subscription_id = s.id and h.starts_at <= greatest(now(), s.starts_at)
    order by h.starts_at desc
    limit 1
) g on true
left join plan_versions v on v.seller_id = g.seller_id and v.id = g.plan_version_id
left join lateral (
    select b.starts_at, b.ends_at
    from billing_periods b
    where b.organization_id = s.organization_id and b.subscription_id = s.id
    order by b.starts_at <= now() desc, case when b.starts_at <= now() then b.starts_at end desc, b.starts_at
    limit 1
) p on true
where s.payer = 'organization';

-- Whoever may read all tables of a view may read the view.
do $$
declare
    view_name text;
    shown_to_members constant text[] := array['tenants', 'call_history', 'voicemail_logs', 'sms_logs', 'mightycall_recordings',
        'mightycall_reports', 'twilio_calls', 'twilio_recordings', 'user_phone_assignments', 'user_phone_numbers', 'billing_plans',
        'org_subscriptions'];
    shown_in_portals constant text[] := array['tenants', 'call_history', 'mightycall_reports', 'twilio_calls', 'payment_transactions'];
begin
    for view_name in select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'v' loop
        execute format('revoke all on public.%I from public', view_name);
        execute format('grant select on public.%I to tollbook_platform, tollbook_admin', view_name);
    end loop;
    foreach view_name in array shown_to_members loop
        execute format('grant select on public.%I to tollbook_member', view_name);
    end loop;
    foreach view_name in array shown_in_portals loop
        execute format('grant select on public.%I to tollbook_portal', view_name);
    end loop;
end
$$;
