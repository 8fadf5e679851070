-- The lines of final documents that charges stand on, with what was given back of them before.
select l.id as "id!", l.invoice_id as "invoice_id!", i.number, i.customer_id as "customer_id!", l.position as "position!", l.amount_minor as "amount_minor!",
    l.amount_numerator as "amount_numerator!", l.amount_denominator as "amount_denominator!", i.currency as "currency!", o.rounding as "rounding!",
    (select coalesce(sum(g.amount_minor), 0) from credit_note_lines g
        where g.organization_id = $1 and g.invoice_line_id = l.id)::bigint as "credited!",
    (select coalesce(sum(k.share_minor), 0) from correction_credits k
        where k.organization_id = $1 and k.invoice_line_id = l.id)::bigint as "shared!"
from (
    select distinct c.invoice_id, c.line_group from charges c where c.organization_id = $1 and c.id = any ($2)
) c
join invoice_lines l on l.organization_id = $1 and l.invoice_id = c.invoice_id and l.line_group = c.line_group
join invoices i on i.organization_id = $1 and i.id = l.invoice_id
join organizations o on o.id = $1
order by l.invoice_id, l.position
