-- What a sale earned in a time and what its seller's providers charge for the same time, by number, customer, organization
-- or plan ($6) and by currency; what belongs to none stands under the nil id. Charges are found by account, costs by who
-- bears them. A cost is that of the plan that its payer was on then.
with revenue as (
    select g.key, c.currency, sum(c.amount) as revenue
    from accounts a
    join charges c on c.organization_id = a.organization_id and c.account_id = a.id and c.occurred_at >= $4 and c.occurred_at < $5
    left join lateral (
        select m.phone_number_id
        from usage_events u join number_mappings m on m.organization_id = u.organization_id and m.id = u.mapping_id
        where $6 = 'number' and u.organization_id = c.organization_id and u.id = c.usage_event_id
    ) n on true
    left join plan_versions v on $6 = 'plan' and v.seller_id = c.seller_id and v.id = c.plan_version_id
    cross join lateral (select coalesce(case $6 when 'number' then n.phone_number_id when 'customer' then c.customer_id
        when 'organization' then c.organization_id when 'plan' then v.plan_id end, '00000000-0000-0000-0000-000000000000') as key) g
    where a.payer = $3 and ($1::uuid is null or a.organization_id = $1)
    -- all organizations: the platform sells to all of them
    group by g.key, c.currency
), cost as (
    select g.key, p.currency, sum(p.amount) as cost, count(*) filter (where p.amount is null) as pending
    from provider_costs p
    left join lateral (
        select c.customer_id, c.phone_number_id from calls c
        where p.subject = 'call' and c.organization_id = p.organization_id and c.id = p.subject_id
        union all
        select m.customer_id, m.phone_number_id from messages m
        where p.subject = 'message' and m.organization_id = p.organization_id and m.id = p.subject_id
        union all
        select c.customer_id, c.phone_number_id from recordings r join calls c on c.organization_id = r.organization_id and c.id = r.call_id
        where p.subject = 'recording' and r.organization_id = p.organization_id and r.id = p.subject_id
        union all
        select c.customer_id, c.phone_number_id from voicemails r join calls c on c.organization_id = r.organization_id and c.id = r.call_id
        where p.subject = 'voicemail' and r.organization_id = p.organization_id and r.id = p.subject_id
        union all
        select u.customer_id, m.phone_number_id
        from number_months t
        join usage_events u on u.organization_id = t.organization_id and u.id = t.usage_event_id
        join number_mappings m on m.organization_id = t.organization_id and m.id = t.mapping_id
        where p.subject = 'number' and t.organization_id = p.organization_id and t.id = p.subject_id
    ) w on $6 <> 'organization'
    left join lateral (
        select v.plan_id
        from accounts a
        left join customers k on k.organization_id = a.organization_id and k.id = w.customer_id
        left join subscriptions b on b.organization_id = a.organization_id and b.account_id = a.id
            and b.starts_at <= p.occurred_at and (b.ends_at is null or p.occurred_at < b.ends_at)
        left join subscription_segments s on s.organization_id = b.organization_id and s.subscription_id = b.id
            and s.starts_at <= p.occurred_at and p.occurred_at < s.ends_at
        left join pay_per_call_terms t on b.id is null and a.payer = 'customer' and t.organization_id = a.organization_id
            and t.starts_at <= p.occurred_at and (t.ends_at is null or p.occurred_at < t.ends_at)
        join plan_versions v on v.seller_id = coalesce(s.seller_id, t.organization_id) and v.id = coalesce(s.plan_version_id, t.plan_version_id)
        where $6 = 'plan' and a.organization_id = p.organization_id and a.payer = $3 and ($3 = 'organization' or a.id = k.account_id)
        limit 1
    ) l on true
    cross join lateral (select coalesce(case $6 when 'number' then w.phone_number_id when 'customer' then w.customer_id
        when 'organization' then p.organization_id when 'plan' then l.plan_id end, '00000000-0000-0000-0000-000000000000') as key) g
    where p.bearer = $2 and ($1::uuid is null or p.organization_id = $1) and p.occurred_at >= $4 and p.occurred_at < $5
    group by g.key, p.currency
), page as (
    select key, coalesce(array_agg(m.currency order by m.currency) filter (where m.currency is not null), '{}') as currencies,
        coalesce(array_agg(m.revenue order by m.currency) filter (where m.currency is not null), '{}') as revenues,
        coalesce(array_agg(m.cost order by m.currency) filter (where m.currency is not null), '{}') as costs,
        coalesce(sum(m.pending), 0)::bigint as pending
    from (select key, currency, r.revenue, k.cost, k.pending from revenue r full join cost k using (key, currency)) m
    where $7::uuid is null or key > $7
    group by key
    order by key
    limit $8
)
select x.key as "id!", case $6 when 'number' then n.e164 when 'customer' then k.name when 'organization' then o.name when 'plan' then p.name end as name,
    null::timestamptz as "started_at?: jiff_sqlx::Timestamp",
    x.currencies as "currencies!", x.revenues as "revenues!: Vec<Option<Decimal>>", x.costs as "costs!: Vec<Option<Decimal>>", x.pending as "pending!"
from page x
left join phone_numbers n on $6 = 'number' and n.id = x.key
left join customers k on $6 = 'customer' and k.organization_id = $1 and k.id = x.key
left join organizations o on $6 = 'organization' and o.id = x.key
left join plans p on $6 = 'plan' and p.id = x.key and p.seller_id in (coalesce($1, '00000000-0000-0000-0000-000000000000'), '00000000-0000-0000-0000-000000000000')
order by x.key
