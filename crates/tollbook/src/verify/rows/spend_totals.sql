-- What was spent on the accounts after $2: each total is the sum of the charges of usage in its period, as they are stored.
with chunk as materialized (
    select * from accounts where organization_id = $1 and id > $2 order by id limit $3
), counted as (
    select c.account_id, c.currency,
        coalesce(p.starts_at, date_trunc('month', c.occurred_at at time zone o.zone) at time zone o.zone) as period_start, sum(c.amount) as amount
    from chunk a
    join charges c on c.organization_id = $1 and c.account_id = a.id and c.usage_event_id is not null
    join organizations o on o.id = c.organization_id
    left join billing_periods p on p.organization_id = $1 and p.subscription_id = c.subscription_id
        and p.starts_at <= c.occurred_at and c.occurred_at < p.ends_at
    group by 1, 2, 3
), kept as (
    select t.account_id, t.currency, t.period_start, t.amount
    from chunk a join spend_totals t on t.organization_id = $1 and t.account_id = a.id
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'spend_totals' as place, account_id::text as key, 'amount' as what,
        trim_scale(coalesce(c.amount, 0))::text as expected, trim_scale(coalesce(k.amount, 0))::text as found
    from counted c full join kept k using (account_id, currency, period_start)
    where coalesce(c.amount, 0) <> coalesce(k.amount, 0)
) w on true
