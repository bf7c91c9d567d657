CREATE TABLE emp (
    empno integer PRIMARY KEY,
    fname varchar(40,
    lname text
);
