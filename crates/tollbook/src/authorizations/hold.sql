-- Our number, whose call it is, and who pays for it. Accounts are locked, then their wallets, each in the order of keys; for a
-- call out then the organization's guard, so that those who ask at the same time are counted.
with ours as (
    select n.id, $5::uuid is null or $5 = any (n.viewer_ids) as is_allowed
    from phone_numbers n
    where n.e164 = $2 and n.organization_id = $1
),
found as (
    select distinct coalesce(t.id, c.id) as id, coalesce(t.account_id, c.account_id) as account_id, coalesce(t.kind, c.kind) = 'prospect' as is_prospect
    from customer_numbers n
    join customers c on c.organization_id = n.organization_id and c.id = n.customer_id
    left join customers t on t.organization_id = c.organization_id and t.id = c.merged_into_id
    where n.organization_id = $1 and n.e164 = $3 and n.starts_at <= $4 and (n.ends_at is null or n.ends_at > $4)
),
-- As when a call is recognized: the only customer, or if there is none the first prospect.
chosen as (
    select f.id, f.account_id from found f
    where case when f.is_prospect then not exists (select from found o where not o.is_prospect or o.id < f.id)
        else not exists (select from found o where not o.is_prospect and o.id <> f.id) end
),
held as (
    select a.id from accounts a
    where a.organization_id = $1 and a.id in (
        select account_id from chosen
        union all
        select p.id from accounts p where p.organization_id = $1 and p.payer = 'organization')
    order by a.id for no key update
),
credit as (
    select w.id from wallets w
    where w.organization_id = $1 and w.account_id in (select id from held)
    order by w.id for no key update
),
guarded as (
    select g.organization_id from fraud_guards g
    where g.organization_id = $1 and g.enabled_at is not null and $6::boolean for no key update
)
select o.id, o.is_allowed as "is_allowed!", (select id from chosen) as customer_id,
    coalesce((select array_agg(id) from held), '{}') as "accounts!", (select count(*) from credit) as "wallets!", (select count(*) from guarded) as "guards!"
from ours o
