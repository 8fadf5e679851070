-- Prices that are new or others than before. The costs are locked. What was asked for and is new is asked for once more.
with added as (
    insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, parts, known_at)
    select k.organization_id, k.id, p.id, p.bearer, coalesce(p.revision, 0) + 1, k.source, k.amount, k.amount - coalesce(p.amount, 0),
        k.currency, k.parts, $8
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::numeric[], $6::text[], $7::jsonb[])
        as k (organization_id, cost_id, id, source, amount, currency, parts)
    join provider_costs p on p.organization_id = k.organization_id and p.id = k.cost_id
    where p.amount is null or (p.amount <> k.amount and p.currency = k.currency)
    order by k.organization_id, k.cost_id
    returning organization_id, cost_id, revision, source, amount, currency, known_at
)
update provider_costs p
set amount = a.amount, currency = a.currency, revision = a.revision, known_at = a.known_at,
    ask_at = case when a.source = 'asked' and a.revision = 1 then a.known_at + interval '1 day' end
from added a
where p.organization_id = a.organization_id and p.id = a.cost_id
returning p.organization_id, p.id
