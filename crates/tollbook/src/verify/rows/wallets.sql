-- Wallets after $2: the balance is the sum of the movements.
with chunk as materialized (
    select * from wallets where organization_id = $1 and id > $2 order by id limit $3
)
select n.next as "next?", w.place as "place?", w.key as "key?", w.what as "what?", w.expected as "expected?", w.found as "found?"
from (select (select id from chunk order by id offset $3::bigint - 1 limit 1) as next) n
left join (
    select 'wallets' as place, a.id::text as key, 'balance' as what, trim_scale(m.sum)::text as expected, trim_scale(a.balance)::text as found
    from chunk a
    cross join lateral (select coalesce(sum(m.amount), 0) as sum from wallet_movements m where m.organization_id = $1 and m.wallet_id = a.id) m
    where m.sum <> a.balance
) w on true
