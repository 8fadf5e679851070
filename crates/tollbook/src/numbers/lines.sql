-- all organizations: whose a line is, is what is asked
select k.ordinal as "ordinal!", n.id as "id!", n.e164 as "e164!", m.id as "mapping_id!", m.organization_id as "organization_id!",
    array(
        select a.user_id from assignments a
        where a.organization_id = m.organization_id and a.phone_number_id = n.id
            and a.starts_at <= k.at and (a.ends_at is null or a.ends_at > k.at)
        order by a.user_id
    ) as "users!"
from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) with ordinality as k(provider, sid, e164, at, ordinal)
cross join lateral (
    select 1 as rank, p.id, p.e164 from phone_numbers p where p.provider = k.provider and p.provider_number_sid = k.sid
    union all
    select 2, p.id, p.e164 from phone_numbers p where p.e164 = k.e164
    order by rank limit 1
) n
cross join lateral (
    select d.id, d.organization_id, d.ends_at from number_mappings d
    where d.phone_number_id = n.id and d.starts_at <= k.at
    order by d.starts_at desc limit 1
) m
where m.ends_at is null or m.ends_at > k.at
