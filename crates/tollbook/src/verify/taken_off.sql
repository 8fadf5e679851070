-- The lines of final documents after $2 of which corrections took something off.
select l.id as "id!", i.currency as "currency!", l.amount_minor as "amount_minor!", l.amount_numerator as "amount_numerator!",
    l.amount_denominator as "amount_denominator!", k.shared as "shared!", k.given as "given!",
    coalesce((select sum(g.amount_minor) from (
            select distinct c.credit_note_id from correction_credits c where c.organization_id = $1 and c.invoice_line_id = l.id
        ) n
        join credit_note_lines g on g.organization_id = $1 and g.credit_note_id = n.credit_note_id and g.invoice_line_id = l.id), 0)::bigint as "credited!"
from (
    select k.invoice_line_id, sum(k.share_minor)::bigint as shared, sum(k.given_minor)::bigint as given
    from correction_credits k where k.organization_id = $1 and k.invoice_line_id > $2
    group by k.invoice_line_id order by k.invoice_line_id limit $3
) k
join invoice_lines l on l.organization_id = $1 and l.id = k.invoice_line_id
join invoices i on i.organization_id = $1 and i.id = l.invoice_id
order by l.id
