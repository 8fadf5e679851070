-- A call that was let through, and who still pays for it. Accounts are locked, then their wallets, each in the order of
-- keys.
with held as (
    select a.id from accounts a
    where a.organization_id = $1 and a.id in (
        select r.account_id from call_reservations r where r.organization_id = $1 and r.authorization_id = $2 and r.state = 'open')
    order by a.id for no key update
),
credit as (
    select w.id from wallets w
    where w.organization_id = $1 and w.account_id in (select id from held)
    order by w.id for no key update
)
select coalesce((select array_agg(id) from held), '{}') as "accounts!", (select count(*) from credit) as "wallets!"
