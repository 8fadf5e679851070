-- Users after $1: the organizations that policies read are those of the memberships.
-- all organizations: users are the platform's
with chunk as materialized (
    select id, organization_ids from users where id > $1 order by id limit $2
), joined as (
    select u.*, array(select m.organization_id from memberships m where m.user_id = u.id order by 1) as expected from chunk u
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $2::bigint - 1 limit 1) as next) n
left join (
    select 'users' as place, j.id::text as key, 'organization_ids' as what, array_to_string(j.expected, ', ') as expected,
        array_to_string(j.organization_ids, ', ') as found
    from joined j where j.organization_ids <> j.expected
) w on true
