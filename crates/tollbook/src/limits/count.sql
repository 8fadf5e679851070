-- Adds what charges come to, to the totals of their accounts and periods; what is taken back counts the other way. Returns
-- the totals, and the caps of those who have one of their own. Charges are looked up one by one, as they were written.
with counted as (
    select c.organization_id, c.account_id, c.payer, c.currency, k.period_start, sum(c.amount * k.sign) as amount
    from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::timestamptz[]) as k (organization_id, charge_id, sign, period_start)
    cross join lateral (
        select h.organization_id, h.account_id, h.payer, h.currency, h.amount from charges h
        where h.organization_id = k.organization_id and h.id = k.charge_id offset 0
    ) c
    group by c.organization_id, c.account_id, c.payer, c.currency, k.period_start
    having sum(c.amount * k.sign) <> 0
),
kept as (
    insert into spend_totals as t (organization_id, account_id, payer, currency, period_start, amount)
    select organization_id, account_id, payer, currency, period_start, amount from counted
    order by organization_id, account_id, currency, period_start
    on conflict (organization_id, account_id, currency, period_start) do update set amount = t.amount + excluded.amount
    returning t.organization_id, t.account_id, t.payer, t.currency, t.period_start, t.amount
)
select k.organization_id as "organization_id!", k.account_id as "account_id!", u.id as "customer_id?", k.currency as "currency!",
    k.period_start as "period_start!", k.amount as "after!", k.amount - c.amount as "before!", s.amount as "cap?"
from kept k
join counted c on c.organization_id = k.organization_id and c.account_id = k.account_id and c.currency = k.currency
    and c.period_start = k.period_start
left join customers u on k.payer = 'customer' and u.organization_id = k.organization_id and u.account_id = k.account_id
    and u.merged_into_id is null
left join spend_caps s on s.organization_id = k.organization_id and s.payer = k.payer and s.customer_id is not distinct from u.id
    and s.currency = k.currency
