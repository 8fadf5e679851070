-- The usages of an account after ($3, $4) and before $5 in canonical order: its customers', or for the account by which the
-- platform sells to an organization all of its.
select u.id as "id!", u.occurred_at as "occurred_at!"
from (
    select e.id, e.occurred_at from customers c
    cross join lateral (
        select e.id, e.occurred_at from usage_events e
        where e.organization_id = c.organization_id and e.customer_id = c.id and e.corrects_id is null
            and e.occurred_at >= $3 and e.occurred_at < $5 and (e.occurred_at, e.id) > ($3, $4)
        order by e.occurred_at, e.id limit $6
    ) e
    where c.organization_id = $1 and c.account_id = $2
    union all
    select e.id, e.occurred_at from accounts a
    join usage_events e on e.organization_id = a.organization_id
    where a.organization_id = $1 and a.id = $2 and a.payer = 'organization' and e.corrects_id is null
        and e.occurred_at >= $3 and e.occurred_at < $5 and (e.occurred_at, e.id) > ($3, $4)
) u
order by u.occurred_at, u.id
limit $6
