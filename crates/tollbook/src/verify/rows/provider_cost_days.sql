-- What was posted of days, after $2: exactly the prices that became known on the day, the total of all days up to it, and in
-- the ledger what the rounded total grew by.
with chunk as materialized (
    select * from provider_cost_days where organization_id = $1 and id > $2 order by id limit $3
), days as (
    select d.*, coalesce(k.amount, 0) as known, coalesce(k.count, 0) as count, coalesce(b.total, 0) + d.amount as expected_total,
        ((round(d.total, d.minor_digits) - round(d.total - d.amount, d.minor_digits)) * power(10::numeric, d.minor_digits))::bigint as expected_minor,
        coalesce(t.minor, 0) as posted
    from chunk d
    cross join lateral (
        select sum(r.change) as amount, count(*) as count
        from provider_prices r
        join provider_costs p on p.organization_id = $1 and p.id = r.cost_id
        left join messages m on m.organization_id = $1 and m.id = p.subject_id and p.subject = 'message'
        where r.organization_id = $1 and r.bearer = d.bearer and r.currency = d.currency and p.provider = d.provider
            and r.known_at >= d.day::timestamp at time zone 'UTC' and r.known_at < (d.day + 1)::timestamp at time zone 'UTC'
            and d.meter = case p.subject when 'call' then 'CALL_DURATION_SECONDS' when 'number' then 'number_month'
                when 'message' then case m.direction when 'incoming' then 'SMS_RECEIVED' else 'SMS_SENT' end else p.subject end
    ) k
    left join lateral (
        select l.total from provider_cost_days l
        where l.organization_id = $1 and l.bearer = d.bearer and l.provider = d.provider and l.meter = d.meter and l.currency = d.currency and l.day < d.day
        order by l.day desc limit 1
    ) b on true
    cross join lateral (
        select sum(case when a.id = t.debit_account_id then t.amount_minor else -t.amount_minor end) as minor
        from ledger_entries e
        join transfers t on t.organization_id = $1 and t.entry_id = e.id
        join ledger_accounts a on a.organization_id = $1 and a.id in (t.debit_account_id, t.credit_account_id)
            and a.kind = 'provider_cost' and a.meter = d.meter and a.currency = d.currency
        where e.organization_id = $1 and e.document = 'cost' and e.document_id = d.id
    ) t
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'provider_cost_days' as place, d.id::text as key, 'amount' as what,
        trim_scale(d.known) || ' of ' || d.count || ' prices' as expected, trim_scale(d.amount) || ' of ' || d.prices || ' prices' as found
    from days d where d.known <> d.amount or d.count <> d.prices
    union all
    select 'provider_cost_days', d.id::text, 'total', trim_scale(d.expected_total)::text, trim_scale(d.total)::text
    from days d where d.expected_total <> d.total
    union all
    select 'provider_cost_days', d.id::text, 'amount_minor', d.expected_minor::text, d.amount_minor::text
    from days d where d.expected_minor <> d.amount_minor
    union all
    select 'ledger_entries', 'costs of ' || d.id, 'costs of ' || d.meter, d.amount_minor::text, d.posted::text
    from days d where d.amount_minor <> d.posted
) w on true
