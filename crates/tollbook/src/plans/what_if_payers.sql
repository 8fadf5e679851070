-- Who pays by a subscription of the seller $1 at some time from $2 to $3: subscribers of any version of the plan $4, or the
-- customers $5. Accounts in order, $6 at most.
with chosen as materialized (
    select g.organization_id, g.subscription_id
    from plan_versions v
    join subscription_segments g on g.seller_id = v.seller_id and g.plan_version_id = v.id and g.starts_at < $3 and g.ends_at > $2
    where $4::uuid is not null and v.seller_id = $1 and v.plan_id = $4
    union
    select b.organization_id, b.id
    from customers c
    join subscriptions b on b.organization_id = c.organization_id and b.account_id = c.account_id and b.payer = 'customer'
    where $5::uuid[] is not null and c.organization_id = $1 and c.id = any ($5)
)
select distinct on (b.organization_id, b.account_id) b.organization_id as "organization_id!", b.account_id as "account_id!",
    b.customer_id as "customer_id?", coalesce(c.name, o.name) as "name!"
from chosen k
join subscriptions b on b.organization_id = k.organization_id and b.id = k.subscription_id
    and b.starts_at < $3 and (b.ends_at is null or b.ends_at > $2)
join organizations o on o.id = b.organization_id
left join customers c on c.organization_id = b.organization_id and c.id = b.customer_id
order by b.organization_id, b.account_id, b.starts_at desc
limit $6
