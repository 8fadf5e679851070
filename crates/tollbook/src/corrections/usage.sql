-- The first events of the usage in force of calls ($2), of provider's records of calls ($3), of messages ($4), and these
-- themselves ($5), with the customers whose it is.
with calls as (
    select c.id from unnest($2::uuid[]) as c (id)
    union all
    select m.id from calls m where m.organization_id = $1 and m.merged_into_id = any ($2)
), roots as (
    select u.id, u.customer_id, u.quantity from calls c
    join usage_events u on u.organization_id = $1 and u.call_id = c.id and u.corrects_id is null
    union all
    select u.id, u.customer_id, u.quantity from usage_events u
    where u.organization_id = $1 and u.resource_id = any ($3) and u.resource_type = 'call' and u.call_id is null and u.corrects_id is null
    union all
    select u.id, u.customer_id, u.quantity from usage_events u
    where u.organization_id = $1 and u.resource_id = any ($4) and u.resource_type = 'message' and u.corrects_id is null
    union all
    select u.id, u.customer_id, u.quantity from usage_events u where u.organization_id = $1 and u.id = any ($5)
)
select r.id as "id!", r.customer_id from roots r
where r.quantity + coalesce((select sum(e.quantity) from usage_events e where e.organization_id = $1 and e.corrects_id = r.id), 0) <> 0
