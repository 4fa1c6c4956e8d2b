-- Rows hidden and rows copied, in folders and not: whoever reads these tables must see the same.
create table hidden tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')
as select * from interop_types;
delete from hidden where id % 2 = 0;
insert into hidden select * from interop_types where id % 2 = 0;
delete from hidden where id < 4;

create table flown partitioned by (origin)
tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')
as select flight_id, carrier, origin, destination, flight_date, arrival_delay_minutes as late from fct_flights;
delete from flown where carrier = 'UA' and late > 30;
update flown set late = 0 where late < 0 and origin = 'EWR';
merge into flown as f
using (select flight_id, 999 as late from fct_flights where destination = 'ORD' and origin <> 'JFK') as s
on f.flight_id = s.flight_id
when matched and f.late > 100 then delete
when matched then update set late = s.late
when not matched then insert (flight_id, late, origin) values (s.flight_id, s.late, 'EWR');
optimize flown where origin = 'LGA';
update flown set late = null where carrier = 'AA';

create table grown as select id, n from (values (1, 1), (2, 2)) as v (id, n);
alter table grown add column note string;
update grown set note = 'seen' where id = 2;

create table checked (id bigint not null comment 'whose', n int check (n > 0));
insert into checked values (1, 1), (2, 2), (3, 3);
update checked set n = n * 10 where id > 1;
restore table checked to version as of 1;

-- Without partitions: DuckDB's extension shows partition values of a table with column mapping as nulls, whoever wrote it.
create table renamed tblproperties ('delta.enableDeletionVectors' = 'true', 'elt.writeMode' = 'merge-on-read')
as select * from interop_types;
alter table renamed set tblproperties ('delta.columnMapping.mode' = 'name');
alter table renamed rename column id to number;
alter table renamed add column note string;
update renamed set note = 'odd' where number % 2 = 1;
alter table renamed drop column note;
alter table renamed add column note int;
insert into renamed (number, note) values (1000, 7);

create table lent shallow clone flown;
update lent set carrier = lower(carrier) where origin = 'LGA';
create table lent_early shallow clone flown version as of 1;

-- Values that the name of a folder has to escape.
create table odd partitioned by (place, at) as
select row_number() over (order by place, at) as n, place, at
from (values ('New York'), ('Kraków/50%=ü:?#&'), ('a+b'), (null)) as p (place)
cross join (values (timestamp '2013-01-01 10:30:00'), (timestamp '2013-01-01 00:00:00.25'), (null)) as t (at);
update odd set n = -n where n % 2 = 0;
