-- The usages behind rows of the rating queue: the first event of each chain with the sum of its corrections, the call it
-- belongs to, and the terms in force at its time. A customer without a subscription is on the organization's
-- pay-per-call terms. Events are looked up one by one (`offset 0` keeps the planner from joining otherwise): a plan made
-- while the table is small would read all of an organization for each.
with roots as (
    select distinct k.organization_id, k.account_id, coalesce(u.corrects_id, u.id) as usage_event_id
    from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, account_id, usage_event_id)
    cross join lateral (
        select e.id, e.corrects_id from usage_events e where e.organization_id = k.organization_id and e.id = k.usage_event_id offset 0
    ) u
)
select u.organization_id, a.id as account_id, a.payer, u.id, u.meter, u.occurred_at,
    case a.payer when 'customer' then u.customer_id end as customer_id,
    u.quantity + coalesce(s.quantity, 0) as "quantity!",
    u.call_id, coalesce(c.direction, z.direction) as "direction?", coalesce(c.external_party, z.external_e164) as "external_party?",
    c.phone_number_id as "phone_number_id?", z.id as "authorization_id?", c.started_at as "started_at?", c.ended_at as "ended_at?",
    b.id as "subscription_id?", p.starts_at as "period_starts_at?", p.ends_at as "period_ends_at?",
    case when b.id is null then t.organization_id else g.seller_id end as "seller_id?",
    case when b.id is null then t.plan_version_id else g.plan_version_id end as "plan_version_id?",
    coalesce(b.zone, o.zone) as "zone!",
    o.pay_per_call_invoicing,
    extract(epoch from o.invoice_grace)::bigint as "grace_seconds!",
    -- People may say that customers are not billed for something.
    a.payer = 'customer' and (
        exists (select from usage_waivers w where w.organization_id = u.organization_id and w.call_id = u.call_id)
        or exists (select from usage_waivers w where w.organization_id = u.organization_id and w.resource_id = u.resource_id
            and w.resource_type = u.resource_type)
        or exists (select from usage_waivers w where w.organization_id = u.organization_id and w.usage_event_id = u.id)
    ) as "is_waived!"
from roots r
cross join lateral (
    select * from usage_events e where e.organization_id = r.organization_id and e.id = r.usage_event_id offset 0
) u
join accounts a on a.organization_id = r.organization_id and a.id = r.account_id
join organizations o on o.id = u.organization_id
left join lateral (
    select sum(e.quantity) as quantity
    from usage_events e
    where e.organization_id = u.organization_id and e.corrects_id = u.id
) s on true
left join calls c on c.organization_id = u.organization_id and c.id = u.call_id
-- Usage that was reported of a call that was let through is charged as that call.
left join call_authorizations z on z.organization_id = u.organization_id and z.id = case
    when u.resource_type = 'authorization' and u.resource_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then u.resource_id::uuid end
left join subscriptions b on b.organization_id = a.organization_id and b.account_id = a.id
    and b.starts_at <= u.occurred_at and (b.ends_at is null or u.occurred_at < b.ends_at)
    -- In a pause usage is charged as if there were no subscription.
    and not exists (select from subscription_pauses z where z.organization_id = b.organization_id and z.subscription_id = b.id
        and z.starts_at <= u.occurred_at and (z.ends_at is null or u.occurred_at < z.ends_at))
left join subscription_segments g on g.organization_id = b.organization_id and g.subscription_id = b.id
    and g.starts_at <= u.occurred_at and u.occurred_at < g.ends_at
left join billing_periods p on p.organization_id = b.organization_id and p.subscription_id = b.id
    and p.starts_at <= u.occurred_at and u.occurred_at < p.ends_at
left join pay_per_call_terms t on a.payer = 'customer' and t.organization_id = u.organization_id
    and t.starts_at <= u.occurred_at and (t.ends_at is null or u.occurred_at < t.ends_at)
order by u.occurred_at, u.id, a.id
