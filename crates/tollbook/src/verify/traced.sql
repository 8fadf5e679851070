-- Charges after $2 and below $3, with what their traces are checked against and the period that they are counted in.
select c.id, c.account_id, c.reverses_id, c.kind, c.price_key, c.grant_id, c.quantity, c.amount_numerator, c.amount_denominator,
    c.trace_version, c.trace as "trace: RawTrace",
    coalesce(p.starts_at, date_trunc('month', c.occurred_at at time zone o.zone) at time zone o.zone) as "period_start!",
    r.amount as "cost?"
from charges c
join organizations o on o.id = c.organization_id
left join billing_periods p on p.organization_id = c.organization_id and p.subscription_id = c.subscription_id
    and p.starts_at <= c.occurred_at and c.occurred_at < p.ends_at
left join provider_prices r on r.organization_id = c.organization_id and r.id = c.provider_price_id
where c.organization_id = $1 and c.id > $2 and c.id < $3
order by c.id
limit $4
