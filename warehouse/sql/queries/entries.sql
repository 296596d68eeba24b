-- Entries with everything that they hold, by their ids, of a customer or ('') of anyone.
SELECT
    {columns}
FROM rev.entries AS entries
WHERE event_id IN {events:Array(UInt64)} AND ({customer:String} = '' OR customer_id = {customer:String})
