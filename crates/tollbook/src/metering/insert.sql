-- Usage events, their counters and the rating queue, for many organizations at once.
-- Every part inserts in key order, so that concurrent batches wait for each other instead of dying.
with input as (
    select *
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::numeric[], $5::timestamptz[], $6::text[], $7::bytea[], $8::bytea[],
        $9::uuid[], $10::uuid[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::jsonb[], $16::uuid[])
        as i (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash,
        user_id, mapping_id, customer_id, call_id, resource_type, resource_id, metadata, corrects_id)
),
added as (
    insert into usage_events (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash,
        user_id, mapping_id, customer_id, call_id, resource_type, resource_id, metadata, corrects_id)
    select organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash,
        user_id, mapping_id, customer_id, call_id, resource_type, resource_id, metadata, corrects_id
    from input
    order by organization_id, key_digest
    on conflict (organization_id, key_digest) do nothing
    returning organization_id, id, meter, quantity, occurred_at, mapping_id, customer_id, corrects_id
),
-- The calendar month in the organization's zone. A correction counts in the month of its own time, which is that of
-- the event it corrects.
dated as (
    select a.*,
        date_trunc('month', a.occurred_at at time zone o.zone) at time zone o.zone as period_start,
        (date_trunc('month', a.occurred_at at time zone o.zone) + interval '1 month') at time zone o.zone as period_end
    from added a
    join organizations o on o.id = a.organization_id
),
counted as (
    insert into usage_counters as c (organization_id, meter, period_start, period_end, quantity, events)
    select organization_id, meter, period_start, period_end, sum(quantity), count(*)
    from dated
    group by organization_id, meter, period_start, period_end
    order by organization_id, meter, period_start
    on conflict (organization_id, meter, period_start) do update
    set quantity = c.quantity + excluded.quantity, events = c.events + excluded.events
),
-- Started minutes are counted per call, so a correction adds the difference that it makes to its call's minutes: to what
-- was stored before, and to what comes before it in this batch. A call of which everything was taken back, as when it
-- turned out to be a part of another, does not count.
voiced as (
    select d.*, coalesce(b.quantity, 0) + coalesce(sum(d.quantity) over earlier, 0) as before,
        coalesce(b.events, 0) + count(*) over earlier as events_before
    from dated d
    left join lateral (
        select sum(e.quantity) as quantity, count(*) as events
        from usage_events e
        where d.corrects_id is not null and e.organization_id = d.organization_id
            and (e.id = d.corrects_id or e.corrects_id = d.corrects_id)
    ) b on true
    where d.mapping_id is not null and d.meter in ('CALL_DURATION_SECONDS', 'SMS_SENT', 'SMS_RECEIVED')
    window earlier as (
        partition by d.organization_id, coalesce(d.corrects_id, d.id) order by d.corrects_id is not null, d.id
        rows between unbounded preceding and 1 preceding
    )
),
numbered as (
    insert into number_counters as c (organization_id, id, mapping_id, period_start, period_end,
        voice_seconds, voice_minutes, voice_calls, sms_sent, sms_received)
    select organization_id, gen_random_uuid(), mapping_id, period_start, period_end,
        coalesce(sum(quantity) filter (where meter = 'CALL_DURATION_SECONDS'), 0)::bigint,
        coalesce(sum(ceil((before + quantity) / 60) - ceil(before / 60)) filter (where meter = 'CALL_DURATION_SECONDS'), 0)::bigint,
        coalesce(sum(case when events_before = 0 or before + quantity <> 0 then 1 else 0 end
            - case when events_before = 1 or before <> 0 then 1 else 0 end)
            filter (where meter = 'CALL_DURATION_SECONDS'), 0)::bigint,
        coalesce(sum(quantity) filter (where meter = 'SMS_SENT'), 0)::bigint,
        coalesce(sum(quantity) filter (where meter = 'SMS_RECEIVED'), 0)::bigint
    from voiced
    group by organization_id, mapping_id, period_start, period_end
    order by organization_id, mapping_id, period_start
    on conflict (organization_id, mapping_id, period_start) do update
    set voice_seconds = c.voice_seconds + excluded.voice_seconds,
        voice_minutes = c.voice_minutes + excluded.voice_minutes,
        voice_calls = c.voice_calls + excluded.voice_calls,
        sms_sent = c.sms_sent + excluded.sms_sent,
        sms_received = c.sms_received + excluded.sms_received,
        updated_at = now()
),
-- Once for each account that pays: the customer's, and the organization's own if the platform sells to it. Looked up one
-- by one (`offset 0` keeps the planner from joining otherwise): it takes a batch for large enough to read every customer.
payers as (
    select a.organization_id, a.id, c.account_id
    from added a
    cross join lateral (
        select c.account_id from customers c where c.organization_id = a.organization_id and c.id = a.customer_id offset 0
    ) c
    where a.customer_id is not null
    union all
    select a.organization_id, a.id, p.id
    from added a
    cross join lateral (
        select p.id from accounts p where p.organization_id = a.organization_id and p.payer = 'organization' offset 0
    ) p
),
queued as (
    insert into rating_queue (lane, organization_id, account_id, usage_event_id)
    select (hashtextextended(account_id::text, 0) & 63)::smallint, organization_id, account_id, id
    from payers
    order by organization_id, id, account_id
)
select id from added
