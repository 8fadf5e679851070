-- Numbers after $1: who holds one now and may use it follows from the mappings and assignments.
-- all organizations: numbers are the platform's
with chunk as materialized (
    select id, organization_id, viewer_ids from phone_numbers where id > $1 order by id limit $2
), held as (
    select n.*, m.organization_id as holder_id, array(
        select a.user_id from assignments a where a.organization_id = m.organization_id and a.phone_number_id = n.id and a.ends_at is null order by 1) as users
    from chunk n left join number_mappings m on m.phone_number_id = n.id and m.ends_at is null
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $2::bigint - 1 limit 1) as next) n
left join (
    select 'phone_numbers' as place, h.id::text as key, 'organization_id' as what, coalesce(h.holder_id::text, 'none') as expected,
        coalesce(h.organization_id::text, 'none') as found
    from held h where h.organization_id is distinct from h.holder_id
    union all
    select 'phone_numbers', h.id::text, 'viewer_ids', array_to_string(h.users, ', '), array_to_string(h.viewer_ids, ', ')
    from held h where h.viewer_ids <> h.users
) w on true
