-- What became known from day $2 on and before day $3, by bearer, provider, meter, currency and day, with what all days up to
-- each come to. A call's price is that of its time.
select d.bearer as "bearer!", d.provider as "provider!", d.meter as "meter!", d.currency as "currency!", d.day as "on!",
    d.amount as "amount!",
    coalesce((select l.total from provider_cost_days l
        where l.organization_id = $1 and l.bearer = d.bearer and l.provider = d.provider and l.meter = d.meter and l.currency = d.currency
        order by l.day desc limit 1), 0)
        + sum(d.amount) over (partition by d.bearer, d.provider, d.meter, d.currency order by d.day) as "total!",
    d.prices as "prices!"
from (
    select r.bearer, p.provider, r.currency, (r.known_at at time zone 'UTC')::date as day, sum(r.change) as amount, count(*) as prices,
        case p.subject when 'call' then 'CALL_DURATION_SECONDS' when 'number' then 'number_month'
            when 'message' then case m.direction when 'incoming' then 'SMS_RECEIVED' else 'SMS_SENT' end else p.subject end as meter
    from provider_prices r
    join provider_costs p on p.organization_id = r.organization_id and p.id = r.cost_id
    left join messages m on m.organization_id = p.organization_id and m.id = p.subject_id and p.subject = 'message'
    where r.organization_id = $1 and r.known_at >= $2::date::timestamp at time zone 'UTC' and r.known_at < $3::date::timestamp at time zone 'UTC'
    group by 1, 2, 3, 4, 7
) d
order by d.bearer, d.provider, d.meter, d.currency, d.day
