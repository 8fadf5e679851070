-- Counters that agree with the events, the indexes, and what the planner and index-only scans need to know.
set session_replication_role = replica;
set synchronous_commit = off;
set maintenance_work_mem = '1GB';

insert into usage_counters (organization_id, meter, period_start, period_end, quantity, events)
    select u.organization_id, u.meter, m.period_start, (m.period_start at time zone o.zone + interval '1 month') at time zone o.zone,
        sum(u.quantity), count(*)
    from usage_events u
    join organizations o on o.id = u.organization_id
    cross join lateral (select date_trunc('month', u.occurred_at at time zone o.zone) at time zone o.zone as period_start) m
    where u.idempotency_key like 'openphone:call:ACfill%'
    group by u.organization_id, u.meter, m.period_start, o.zone;
insert into number_counters (organization_id, id, mapping_id, period_start, period_end, voice_seconds, voice_minutes, voice_calls)
    select u.organization_id, gen_random_uuid(), u.mapping_id, m.period_start,
        (m.period_start at time zone o.zone + interval '1 month') at time zone o.zone,
        sum(u.quantity), sum(ceil(u.quantity / 60)), count(*)
    from usage_events u
    join organizations o on o.id = u.organization_id
    cross join lateral (select date_trunc('month', u.occurred_at at time zone o.zone) at time zone o.zone as period_start) m
    where u.meter = 'CALL_DURATION_SECONDS' and u.idempotency_key like 'openphone:call:ACfill%'
    group by u.organization_id, u.mapping_id, m.period_start, o.zone;
do $$
declare
    i record;
begin
    for i in select indexdef from fill_indexes loop
        execute i.indexdef;
    end loop;
end
$$;
drop table fill_indexes, fill_customers, fill_organizations;
vacuum (analyze);
