-- The periods of subscriptions whose usage these documents gather, where a plan of their time asks for a minimum.
select k.invoice_id as "invoice_id!", k.subscription_id as "subscription_id!", p.id as "period_id!", p.starts_at as "starts_at!", p.ends_at as "ends_at!"
from (
    select i.id as invoice_id, i.currency, i.period_start, i.period_end, s.id as subscription_id
    from invoices i
    join subscriptions s on s.organization_id = $1 and s.customer_id = i.customer_id
    where i.organization_id = $1 and i.id = any($2) and i.kind = 'period'
    union all
    select i.id, i.currency, i.period_start, i.period_end, s.id
    from invoices i
    join subscriptions s on s.organization_id = $1 and s.payer = 'organization'
    where i.organization_id = $1 and i.id = any($2) and i.kind = 'period' and i.payer = 'organization'
) k
join billing_periods p on p.organization_id = $1 and p.subscription_id = k.subscription_id
    and p.starts_at = k.period_start and p.ends_at = k.period_end
where exists (
    select from subscription_segments g
    join plan_versions v on v.seller_id = g.seller_id and v.id = g.plan_version_id
    where g.organization_id = $1 and g.subscription_id = k.subscription_id and g.starts_at < p.ends_at and g.ends_at > p.starts_at
        and v.currency = k.currency and jsonb_exists(v.document, 'minimumCommitment')
)
