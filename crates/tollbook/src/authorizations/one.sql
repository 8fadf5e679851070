-- A call that was let through, with what is held for it.
select c.id, c.key, c.request_hash, c.phone_number_id, n.e164 as our_number, $3::uuid is null or $3 = any (n.viewer_ids) as "is_allowed!",
    c.direction, c.external_e164, c.customer_id, c.seconds, c.started_at, c.expires_at, c.released_at, c.created_by,
    r.payer as "payer?", r.amount as "amount?", coalesce(w.currency, r.cap_currency) as "currency?", r.state as "state?"
from call_authorizations c
join phone_numbers n on n.id = c.phone_number_id
left join call_reservations r on r.organization_id = c.organization_id and r.authorization_id = c.id
left join wallets w on w.organization_id = r.organization_id and w.id = r.wallet_id
where c.organization_id = $1 and c.id = $2
order by r.account_id
