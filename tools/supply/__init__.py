"""What is shipped besides our own code: the packages of each set, their licences, and a bill of materials."""
