-- The accounts after ($4, $5) that pay by the deck $2 of the seller $1 for usage from $3 on: subscribers of plan versions
-- that name it, and customers who pay by the call on such a version.
with versions as materialized (
    select v.id from plan_versions v
    where v.seller_id = $1 and v.state = 'published'
        and jsonb_path_exists(v.document, '$.prices[*].**.deck.deck ? (@ == $key)', jsonb_build_object('key', $2::text))
)
select a.organization_id as "organization_id!", a.account_id as "account_id!"
from (
    select b.organization_id, b.account_id
    from versions v
    join subscription_segments g on g.seller_id = $1 and g.plan_version_id = v.id and g.ends_at > $3
    join subscriptions b on b.organization_id = g.organization_id and b.id = g.subscription_id
    union
    select c.organization_id, c.account_id
    from versions v
    join pay_per_call_terms t on t.organization_id = $1 and t.plan_version_id = v.id and (t.ends_at is null or t.ends_at > $3)
    join customers c on c.organization_id = t.organization_id
) a
where (a.organization_id, a.account_id) > ($4, $5)
order by a.organization_id, a.account_id
limit $6
