-- Calls of a time, the latest first, each with what the sale earned by it and what the seller's providers charge for it, by
-- currency. Recordings and voicemails belong to their call: their usage names the record of the call that they are of.
select c.id as "id!", c.external_party as name, c.started_at as "started_at?: jiff_sqlx::Timestamp",
    x.currencies as "currencies!", x.revenues as "revenues!: Vec<Option<Decimal>>", x.costs as "costs!: Vec<Option<Decimal>>", x.pending as "pending!"
from (
    select k.organization_id, k.id, k.external_party, k.started_at from calls k
    where k.organization_id = $1 and k.merged_into_id is null and k.started_at >= $4 and k.started_at < $5
        and ($6::timestamptz is null or (k.started_at, k.id) < ($6, $7))
    order by k.started_at desc, k.id desc limit $8
) c
cross join lateral (
    select coalesce(array_agg(m.currency order by m.currency) filter (where m.currency is not null), '{}') as currencies,
        coalesce(array_agg(m.revenue order by m.currency) filter (where m.currency is not null), '{}') as revenues,
        coalesce(array_agg(m.cost order by m.currency) filter (where m.currency is not null), '{}') as costs,
        coalesce(sum(m.pending), 0)::bigint as pending
    from (
        select currency, r.revenue, k.cost, k.pending
        from (
            select h.currency, sum(h.amount) as revenue
            from (
                select g.currency, g.amount from charges g where g.organization_id = $1 and g.call_id = c.id and g.payer = $3
                union all
                select g.currency, g.amount
                from call_legs l
                join usage_events u on u.organization_id = $1 and u.resource_type = 'call' and u.call_id is null and u.resource_id = l.sid
                join charges g on g.organization_id = $1 and g.usage_event_id = u.id and g.payer = $3
                where l.organization_id = $1 and l.call_id = c.id and u.corrects_id is null
            ) h
            group by h.currency
        ) r
        full join (
            select p.currency, sum(p.amount) as cost, count(*) filter (where p.amount is null) as pending
            from (
                select 'call' as subject, c.id
                union all select 'recording', v.id from recordings v where v.organization_id = $1 and v.call_id = c.id
                union all select 'voicemail', v.id from voicemails v where v.organization_id = $1 and v.call_id = c.id
            ) s
            join provider_costs p on p.organization_id = $1 and p.subject = s.subject and p.subject_id = s.id and p.bearer = $2
            group by p.currency
        ) k using (currency)
    ) m
) x
order by c.started_at desc, c.id desc
