-- What several reports read alike. Functions run with the rights of the reader.

-- The calls of a user that began from `since` on and before `until`. A call is the user's who talked; one that nobody
-- answered is that of the number's owner at that time.
create or replace function calls_of_user(organization uuid, member uuid, since timestamptz, until timestamptz) returns setof calls
    language sql stable as $$
    select c.*
    from (
        select v.call_id as id from call_viewers v
        where v.organization_id = organization and v.user_id = member and v.started_at >= since and v.started_at < until
        union
        select k.id from (select distinct a.phone_number_id from assignments a where a.organization_id = organization and a.user_id = member) a
        join calls k on k.organization_id = organization and k.phone_number_id = a.phone_number_id and k.started_at >= since and k.started_at < until
    ) i
    join calls c on c.organization_id = organization and c.id = i.id and c.merged_into_id is null
    left join lateral (
        select a.user_id from assignments a
        where c.answered_by is null and a.organization_id = organization and a.phone_number_id = c.phone_number_id
            and a.starts_at <= c.started_at and (a.ends_at is null or a.ends_at > c.started_at)
        order by a.kind = 'owner' desc, a.starts_at, a.user_id limit 1
    ) o on true
    where coalesce(c.answered_by, o.user_id) = member
$$;
