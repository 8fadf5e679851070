-- The first billing period after a place whose document is not finalized.
select k.position as "position!", p.starts_at, p.ends_at
from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
    with ordinality as k (organization_id, customer_id, subscription_id, currency, after, position)
cross join lateral (
    select p.starts_at, p.ends_at
    from billing_periods p
    where p.organization_id = k.organization_id and p.subscription_id = k.subscription_id and p.starts_at >= k.after
        and not exists (select from invoices i where i.organization_id = k.organization_id and i.customer_id = k.customer_id
            and i.period_start = p.starts_at and i.period_end = p.ends_at and i.currency = k.currency
            and i.kind = 'period' and i.state <> 'draft')
        and not exists (select from invoices i where k.customer_id is null and i.organization_id = k.organization_id
            and i.customer_id is null and i.period_start = p.starts_at and i.period_end = p.ends_at and i.currency = k.currency
            and i.kind = 'period' and i.state <> 'draft')
    order by p.starts_at limit 1
) p
