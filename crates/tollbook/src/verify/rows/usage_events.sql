-- Usage events of an organization after $2: the digest of the key, and what they refer to.
with chunk as materialized (
    select * from usage_events where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'usage_events' as place, u.id::text as key, 'key_digest' as what,
        encode(substr(sha256(convert_to(u.idempotency_key, 'UTF8')), 1, 16), 'hex') as expected, encode(u.key_digest, 'hex') as found
    from chunk u
    where u.key_digest <> substr(sha256(convert_to(u.idempotency_key, 'UTF8')), 1, 16)
    union all
    select 'usage_events', u.id::text, 'corrects_id', 'a first event of the same meter and time', coalesce(f.id::text, 'nothing')
    from chunk u
    left join usage_events f on f.organization_id = $1 and f.id = u.corrects_id
    where u.corrects_id is not null
        and (f.id is null or f.corrects_id is not null or f.meter <> u.meter or f.occurred_at <> u.occurred_at)
    union all
    select 'usage_events', u.id::text, 'customer_id', 'a customer', u.customer_id::text
    from chunk u
    where u.customer_id is not null and not exists (select from customers c where c.organization_id = $1 and c.id = u.customer_id)
    union all
    select 'usage_events', u.id::text, 'mapping_id', 'a number mapping', u.mapping_id::text
    from chunk u
    where u.mapping_id is not null and not exists (select from number_mappings m where m.organization_id = $1 and m.id = u.mapping_id)
    union all
    select 'usage_events', u.id::text, 'call_id', 'a call', u.call_id::text
    from chunk u
    where u.call_id is not null and not exists (select from calls c where c.organization_id = $1 and c.id = u.call_id)
    union all
    select 'usage_events', u.id::text, 'meter', 'a meter', u.meter
    from chunk u
    where not exists (select from meters m where m.code = u.meter and (m.organization_id is null or m.organization_id = $1))
) w on true
