/** A schema with a bit of everything, for MariaDB and MySQL: 3 tables with 500, 1500 and 4 rows. */
export const SHOP = `CREATE DATABASE shop CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE shop;
SET max_recursive_iterations = 10000;
CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(100), note TEXT, picture BLOB, born DATE);
CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer INT, cents BIGINT, at TIMESTAMP(6),
  FOREIGN KEY (customer) REFERENCES customers (id));
CREATE TABLE \`odd(table\` (\`a)\` INT PRIMARY KEY, \`it's\` VARCHAR(100));
INSERT INTO customers WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500)
  SELECT i, CONCAT('Kunde ', i, ' (größe); ''x'''), CONCAT('line\\n(', i, '),(\\\\'), UNHEX(MD5(i)), '1990-01-01' + INTERVAL i DAY FROM n;
INSERT INTO orders (customer, cents, at) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
  SELECT 1 + i % 500, i * 199, '2026-01-01' + INTERVAL i SECOND FROM n;
INSERT INTO \`odd(table\` VALUES (1, 'a;b'), (2, '\\\\'), (3, NULL), (4, 'it''s');
CREATE VIEW totals AS SELECT customer, SUM(cents) AS cents FROM orders GROUP BY customer;
DELIMITER //
CREATE PROCEDURE pay(IN who INT) BEGIN UPDATE orders SET cents = 0 WHERE customer = who; END//
CREATE FUNCTION owed(who INT) RETURNS BIGINT READS SQL DATA RETURN (SELECT SUM(cents) FROM orders WHERE customer = who)//
CREATE TRIGGER no_gifts BEFORE INSERT ON orders FOR EACH ROW BEGIN IF NEW.cents < 0 THEN SET NEW.cents = 0; END IF; END//
CREATE EVENT tidy ON SCHEDULE EVERY 1 YEAR STARTS '2035-01-01' DO DELETE FROM orders WHERE cents = 0//
DELIMITER ;
`;
