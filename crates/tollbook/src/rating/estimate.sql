-- The terms that usage of these customers falls under at $3, as when it is rated.
select c.id as "customer_id!", c.account_id as "account_id!",
    case when b.id is null then t.organization_id else g.seller_id end as "seller_id?",
    case when b.id is null then t.plan_version_id else g.plan_version_id end as "plan_version_id?",
    coalesce(b.zone, o.zone) as "zone!",
    p.starts_at as "period_starts_at?"
from unnest($2::uuid[]) as k (id)
join customers c on c.organization_id = $1 and c.id = k.id
join organizations o on o.id = c.organization_id
left join subscriptions b on b.organization_id = c.organization_id and b.account_id = c.account_id
    and b.starts_at <= $3 and (b.ends_at is null or $3 < b.ends_at)
    -- In a pause usage is charged as if there were no subscription.
    and not exists (select from subscription_pauses z where z.organization_id = b.organization_id and z.subscription_id = b.id
        and z.starts_at <= $3 and (z.ends_at is null or $3 < z.ends_at))
left join subscription_segments g on g.organization_id = b.organization_id and g.subscription_id = b.id
    and g.starts_at <= $3 and $3 < g.ends_at
left join billing_periods p on p.organization_id = b.organization_id and p.subscription_id = b.id
    and p.starts_at <= $3 and $3 < p.ends_at
left join pay_per_call_terms t on t.organization_id = c.organization_id
    and t.starts_at <= $3 and (t.ends_at is null or $3 < t.ends_at)
